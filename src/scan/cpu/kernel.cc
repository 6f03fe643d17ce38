// The kernels for one instruction set. The build compiles this file once for each, with MDNLAB_SCAN_KERNEL as
// the name of the variant's Kernel (cpu/select.cc lists them).
#include "scan/cpu/kernel.h"

#include "scan/cpu/backward.h"
#include "scan/cpu/forward.h"
#include "scan/cpu/step.h"

namespace mdnlab::scan::cpu {

namespace {

template <class T>
std::int64_t scratch_size(const Scan<T>& scan) {
  Scratch<T> forward(nullptr), backward(nullptr);
  ForwardTiles<T>(forward, scan);
  BackwardTiles<T>(backward, scan);
  return std::max({forward.used(), backward.used(), 3 * padded(scan.value_width)});
}

template <class T>
constexpr Functions<T> kFunctions{scratch_size<T>, forward<T>, backward<T>, step<T>};

}  // namespace

extern const Kernel MDNLAB_SCAN_KERNEL;
const Kernel MDNLAB_SCAN_KERNEL{kFunctions<float>, kFunctions<double>};

}  // namespace mdnlab::scan::cpu
