// The kernels of channel-wise decay for one instruction set; compiled as kernel.cc is.
#include "scan/cpu/channel_backward.h"
#include "scan/cpu/channel_forward.h"
#include "scan/cpu/channel_step.h"

namespace mdnlab::scan::cpu {

namespace {

template <class T>
std::int64_t channel_scratch_size(const Scan<T>& scan) {
  Scratch<T> forward(nullptr), backward(nullptr);
  ChannelForwardTiles<T>(forward, scan);
  ChannelBackwardTiles<T>(backward, scan);
  return std::max(
      {forward.used(), backward.used(), 3 * padded(scan.value_width) + 2 * padded(scan.key_width)});
}

template <class T>
constexpr Functions<T> kFunctions{channel_scratch_size<T>, channel_forward<T>, channel_backward<T>,
                                  channel_step<T>};

}  // namespace

extern const Kernel MDNLAB_SCAN_CHANNEL_KERNEL;
const Kernel MDNLAB_SCAN_CHANNEL_KERNEL{kFunctions<float>, kFunctions<double>};

}  // namespace mdnlab::scan::cpu
