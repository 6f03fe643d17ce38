// An implementation of the scan on a device, as the suite calls it.
#include "check/recurrence.h"
#include "scan/implementation.h"

namespace mdnlab::check {

Kernel kernel_on(c10::Device device, const std::string& implementation) {
  const auto refusal = [=](scan::Pass pass) {
    return [=](scan::Inputs in) {
      for (at::Tensor* tensor : scan::tensors(in)) {
        if (tensor->defined()) *tensor = tensor->to(device);
      }
      return scan::refusal(in, implementation, pass);
    };
  };
  Kernel kernel{.chunk =
                    [=](const scan::Inputs& in, scan::Options options) {
                      options.implementation = implementation;
                      return scan::chunk(in, options);
                    },
                .step = [=](const scan::Inputs& in) { return scan::step(in, implementation); },
                .refusal_of_chunk = refusal(scan::Pass::chunk),
                .refusal_of_step = refusal(scan::Pass::step),
                .device = device,
                .name = implementation};
  if (!device.is_cpu()) kernel.dtypes.push_back(at::kHalf);
  return kernel;
}

}  // namespace mdnlab::check
