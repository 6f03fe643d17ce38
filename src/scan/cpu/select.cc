#include <ATen/Version.h>

#include <string>

#include "scan/cpu/kernel.h"

namespace mdnlab::scan::cpu {

extern const Kernel kBaseline, kBaselineChannel;
#if defined(__x86_64__)
extern const Kernel kAvx2, kAvx2Channel;
extern const Kernel kAvx512, kAvx512Channel;
#endif

namespace {

struct Kernels {
  const Kernel &scalar, &channel;
};

const Kernels& chosen() {
  static const Kernels kernels = []() -> Kernels {
#if defined(__x86_64__)
    const std::string capability = at::get_cpu_capability();
    if (capability == "AVX512") return {kAvx512, kAvx512Channel};
    if (capability == "AVX2") return {kAvx2, kAvx2Channel};
#endif
    return {kBaseline, kBaselineChannel};
  }();
  return kernels;
}

}  // namespace

const Kernel& kernel() { return chosen().scalar; }

const Kernel& channel_kernel() { return chosen().channel; }

}  // namespace mdnlab::scan::cpu
