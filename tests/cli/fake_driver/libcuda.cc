// A driver for tests: what base/gpu.cc asks of libcuda.so.1, answered from the environment.
//   FAKE_CUDA_INIT        what cuInit returns (0)
//   FAKE_CUDA_VERSION     13000
//   FAKE_CUDA_CAPABILITY  of each of two GPUs (90)
#include <cstdio>
#include <cstdlib>

namespace {

int setting(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value ? std::atoi(value) : otherwise;
}

}  // namespace

extern "C" {

int cuInit(unsigned) { return setting("FAKE_CUDA_INIT", 0); }

int cuDriverGetVersion(int* version) {
  *version = setting("FAKE_CUDA_VERSION", 13000);
  return 0;
}

int cuGetErrorString(int, const char** words) {
  *words = "words of the driver";
  return 0;
}

int cuDeviceGetCount(int* count) {
  *count = 2;
  return 0;
}

int cuDeviceGetName(char* name, int size, int device) {
  std::snprintf(name, static_cast<std::size_t>(size), "Fake GPU %d", device);
  return 0;
}

int cuDeviceGetPCIBusId(char* bus, int size, int device) {
  std::snprintf(bus, static_cast<std::size_t>(size), "0000:%02x:00.0", device);
  return 0;
}

int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = std::size_t{80} << 30;
  return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int) {
  constexpr int kMajor = 75, kMinor = 76;
  const int capability = setting("FAKE_CUDA_CAPABILITY", 90);
  *value = attribute == kMajor ? capability / 10 : attribute == kMinor ? capability % 10 : 1;
  return 0;
}
}
