#include <ATen/Version.h>

#include <string>

#include "scan/cpu/kernel.h"

namespace mdnlab::scan::cpu {

extern const Kernel kBaseline;
#if defined(__x86_64__)
extern const Kernel kAvx2;
extern const Kernel kAvx512;
#endif

const Kernel& kernel() {
  static const Kernel& chosen = [&]() -> const Kernel& {
#if defined(__x86_64__)
    const std::string capability = at::get_cpu_capability();
    if (capability == "AVX512") return kAvx512;
    if (capability == "AVX2") return kAvx2;
#endif
    return kBaseline;
  }();
  return chosen;
}

}  // namespace mdnlab::scan::cpu
