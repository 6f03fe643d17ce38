// Where and with what a row was made.
#pragma once

#include <cstdint>
#include <string>

#include "store/store.h"

namespace mdnlab {

struct MachineFacts {
  std::string host;
  std::string system;  // distribution and kernel
  std::string cpu;
  std::int64_t cpu_cores = 0;
  std::int64_t memory_mib = 0;
  std::string gpu;  // "" without one
  std::int64_t gpu_count = 0;
  std::int64_t gpu_memory_mib = 0;  // of one
  std::string driver;
};

struct BuildFacts {
  std::string version;
  std::string git_commit;  // "" outside a checkout
  std::string libtorch;
  std::string compiler;
};

// The row with exactly these facts, made when there is none; its id.
std::int64_t ensure_machine(Store& store, const MachineFacts& machine);
std::int64_t ensure_build(Store& store, const BuildFacts& build);

}  // namespace mdnlab
