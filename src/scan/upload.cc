#include "scan/upload.h"

namespace mdnlab {

at::Tensor upload(const at::Tensor& host, at::Device device) {
  return device.is_cuda() ? host.pin_memory().to(device, /*non_blocking=*/true) : host.to(device);
}

}  // namespace mdnlab
