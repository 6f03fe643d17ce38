#include "base/gpu.h"

#include <dlfcn.h>

#include <array>
#include <cstddef>

namespace mdnlab {

namespace {

// The C interfaces of libcuda and libnvidia-ml, as far as they are used here; 0 is success in both.
template <class Function>
Function* symbol(void* library, const char* name) {
  return library ? reinterpret_cast<Function*>(dlsym(library, name)) : nullptr;
}

// Calls a function of the driver; a missing one counts as a failure.
template <class... Parameters, class... Arguments>
bool call(int (*function)(Parameters...), Arguments... arguments) {
  return function && function(arguments...) == 0;
}

class Management {
 public:
  Management() : library_(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    works_ = call(symbol<int()>(library_, "nvmlInit_v2"));
  }

  std::string driver() const {
    std::array<char, 96> text{};
    if (!works_ || !call(symbol<int(char*, unsigned)>(library_, "nvmlSystemGetDriverVersion"), text.data(),
                         static_cast<unsigned>(text.size())))
      return {};
    return text.data();
  }

  int count() const {
    unsigned count = 0;
    call(works_ ? symbol<int(unsigned*)>(library_, "nvmlDeviceGetCount_v2") : nullptr, &count);
    return static_cast<int>(count);
  }

  std::optional<GpuClocks> clocks(const std::string& bus) const {
    constexpr int kSm = 1, kMemory = 2;
    void* device = nullptr;
    if (!works_ || !call(symbol<int(const char*, void**)>(library_, "nvmlDeviceGetHandleByPciBusId_v2"),
                         bus.c_str(), &device))
      return {};
    const auto read = [&](const char* name, int which) {
      unsigned mhz = 0;
      call(symbol<int(void*, int, unsigned*)>(library_, name), device, which, &mhz);
      return static_cast<int>(mhz);
    };
    return GpuClocks{.sm_mhz = read("nvmlDeviceGetClockInfo", kSm),
                     .memory_mhz = read("nvmlDeviceGetClockInfo", kMemory),
                     .most_sm_mhz = read("nvmlDeviceGetMaxClockInfo", kSm),
                     .most_memory_mhz = read("nvmlDeviceGetMaxClockInfo", kMemory)};
  }

 private:
  void* library_;
  bool works_ = false;
};

const Management& management() {
  static const Management instance;
  return instance;
}

int attribute(void* driver, int device, int which) {
  int value = 0;
  call(symbol<int(int*, int, int)>(driver, "cuDeviceGetAttribute"), &value, which, device);
  return value;
}

Gpu describe(void* driver, int device) {
  constexpr int kMultiprocessors = 16, kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_…
  std::array<char, 128> name{}, bus{};
  std::size_t bytes = 0;
  call(symbol<int(char*, int, int)>(driver, "cuDeviceGetName"), name.data(), static_cast<int>(name.size()),
       device);
  call(symbol<int(char*, int, int)>(driver, "cuDeviceGetPCIBusId"), bus.data(), static_cast<int>(bus.size()),
       device);
  call(symbol<int(std::size_t*, int)>(driver, "cuDeviceTotalMem_v2"), &bytes, device);
  return {.name = name.data(),
          .capability = 10 * attribute(driver, device, kMajor) + attribute(driver, device, kMinor),
          .multiprocessors = attribute(driver, device, kMultiprocessors),
          .memory_mib = static_cast<std::int64_t>(bytes >> 20),
          .bus = bus.data()};
}

// "CUDA error 803: system has unsupported display driver / cuda driver combination"
std::string error_text(void* driver, int code) {
  const char* words = nullptr;
  call(symbol<int(int, const char**)>(driver, "cuGetErrorString"), code, &words);
  return "CUDA error " + std::to_string(code) + (words ? ": " + std::string(words) : "");
}

GpuFacts ask() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver) {
    const char* reason = dlerror();
    return {.trouble = "no NVIDIA driver, looked for in LD_LIBRARY_PATH and the system's folders (" +
                       std::string(reason ? reason : "libcuda.so.1") + ")"};
  }
  GpuFacts facts{.driver = management().driver()};
  facts.installed = management().count();
  call(symbol<int(int*)>(driver, "cuDriverGetVersion"), &facts.cuda);
  const auto initialize = symbol<int(unsigned)>(driver, "cuInit");
  const int code = initialize ? initialize(0) : -1;
  if (code != 0) {
    constexpr int kNoDevice = 100, kMismatch = 803;
    facts.trouble = code == kNoDevice ? "the NVIDIA driver sees no GPU"
                                      : "the NVIDIA driver does not start (" + error_text(driver, code) + ")";
    if (code == kMismatch)
      facts.trouble += ": its library and its kernel module are of two versions; restart the machine";
    return facts;
  }
  int count = 0;
  call(symbol<int(int*)>(driver, "cuDeviceGetCount"), &count);
  for (int device = 0; device < count; ++device) facts.gpus.push_back(describe(driver, device));
  if (facts.gpus.empty()) facts.trouble = "the NVIDIA driver sees no GPU";
  return facts;
}

}  // namespace

const GpuFacts& gpu_facts() {
  static const GpuFacts facts = ask();
  return facts;
}

std::string capability_text(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

std::string cuda_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string driver_text(const GpuFacts& facts) {
  return "driver " + facts.driver + (facts.driver.empty() ? "" : " ") + "of CUDA " + cuda_text(facts.cuda);
}

std::optional<GpuClocks> gpu_clocks(const Gpu& gpu) { return management().clocks(gpu.bus); }

}  // namespace mdnlab
