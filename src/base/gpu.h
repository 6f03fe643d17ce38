// NVIDIA GPUs as their driver describes them: asked of the driver itself, so that the answer is there also
// without LibTorch's CUDA libraries, and without starting anything on a GPU.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mdnlab {

struct Gpu {
  std::string name;    // "NVIDIA H200"
  int capability = 0;  // 90: compute capability 9.0
  int multiprocessors = 0;
  std::int64_t memory_mib = 0;
  std::string bus;  // "0000:1b:00.0"
};

struct GpuFacts {
  std::string driver;     // "580.159.04"; empty where there is none, or it does not tell
  int cuda = 0;           // 13000: the newest CUDA that the driver runs is 13.0
  std::string trouble;    // why there is no GPU to use, in words; empty when there is one
  std::vector<Gpu> gpus;  // in CUDA's order, as CUDA_VISIBLE_DEVICES leaves them
  int installed = 0;      // GPUs of the host, visible to us or not; 0 where the management library is mute
};

// Asked once; the same for the life of the process.
const GpuFacts& gpu_facts();

std::string capability_text(int capability);     // "9.0"
std::string cuda_text(int version);              // "13.0"
std::string driver_text(const GpuFacts& facts);  // "driver 580.159.04 of CUDA 13.0"

struct GpuClocks {
  int sm_mhz = 0, memory_mhz = 0;  // now
  int most_sm_mhz = 0, most_memory_mhz = 0;
};

// Empty where the management library does not tell.
std::optional<GpuClocks> gpu_clocks(const Gpu& gpu);

}  // namespace mdnlab
