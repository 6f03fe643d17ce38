// Where the time of one training step goes, by LibTorch's profiler.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "run/planner.h"

namespace mdnlab {

struct ProfiledOperation {
  std::string kind;  // matrix products, scan, attention, fused operations, loss, optimizer, copies, other
  std::string name;  // of a GPU's kernel; on the CPU of LibTorch's operation, without those that it calls
  double ms = 0;     // of all calls
  std::int64_t calls = 0;
};

struct StepProfile {
  double step_ms = 0;                         // from the first operation's start to the last one's end
  double idle_ms = 0;                         // of these, with nothing running
  std::vector<ProfiledOperation> operations;  // the slowest first
};

// Trains a few steps of the run from its initial values, then one under the profiler; every event of that one
// goes to `trace`, JSON for the viewers of Chrome traces. The database is not touched, no checkpoint written.
StepProfile profile_step(const PlannedRun& run, const Plugins& plugins, c10::Device device,
                         const std::filesystem::path& trace);

}  // namespace mdnlab
