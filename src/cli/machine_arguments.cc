// What of the arguments asks the machine and the plugins; arguments.cc needs neither.
#include <limits>

#include "base/gpu.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "run/devices.h"
#include "scan/cuda_module.h"

namespace mdnlab {

namespace {

c10::Device usable_device() {
  if (gpu_facts().gpus.empty()) return c10::kCPU;
  try {
    const c10::Device first(c10::kCUDA, 0);
    scan::require_gpu(first);
    return first;
  } catch (const Error& error) {
    warn(std::string("the CPU is used, as ") + error.what());
    return c10::kCPU;
  }
}

}  // namespace

c10::Device Arguments::device() const {
  const std::string word = text("device");
  if (word == "cpu") return c10::kCPU;
  if (word == "auto") return usable_device();
  std::int64_t index = 0;
  const bool is_cuda = word == "cuda" || (word.starts_with("cuda:") && parse_integer(word.substr(5), index) &&
                                          index >= 0 && index < std::numeric_limits<c10::DeviceIndex>::max());
  if (!is_cuda) {
    throw Error(
        Code::usage,
        {.what = "unknown device", .found = "--device " + word, .expected = "auto, cpu, cuda or cuda:N"});
  }
  const c10::Device device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
  scan::require_gpu(device);
  return device;
}

std::vector<c10::Device> Arguments::gpus() const {
  const std::string word = text("device");
  if (word != "auto" && word != "cuda") return {device()};
  std::vector<c10::Device> usable = usable_gpus(gpu_facts());
  scan::require_gpu(usable.empty() ? c10::Device(c10::kCUDA, 0) : usable[0]);
  return usable;
}

Plugins Arguments::plugins() const {
  std::vector<std::filesystem::path> files;
  for (const std::string& file : texts("plugin")) files.emplace_back(file);
  return Plugins(files);
}

}  // namespace mdnlab
