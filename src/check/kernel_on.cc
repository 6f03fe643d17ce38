// An implementation of the scan on a device, as the suite calls it: with tensors of the CPU.
#include "check/recurrence.h"
#include "scan/implementation.h"

namespace mdnlab::check {

namespace {

// Gradients flow back the same way.
scan::Inputs moved(const scan::Inputs& inputs, c10::Device device) {
  scan::Inputs out = inputs;
  for (at::Tensor* tensor : scan::tensors(out)) {
    if (tensor->defined()) *tensor = tensor->to(device);
  }
  return out;
}

scan::Outputs back(scan::Outputs outputs) {
  for (at::Tensor* tensor : {&outputs.o_BTHV, &outputs.final_S_NHKV, &outputs.final_M_NHKV}) {
    if (tensor->defined()) *tensor = tensor->cpu();
  }
  return outputs;
}

}  // namespace

Kernel kernel_on(c10::Device device, const std::string& implementation) {
  const auto refusal = [=](scan::Pass pass) {
    return [=](const scan::Inputs& in) { return scan::refusal(moved(in, device), implementation, pass); };
  };
  Kernel kernel{
      .chunk =
          [=](const scan::Inputs& in, scan::Options options) {
            options.implementation = implementation;
            return back(scan::chunk(moved(in, device), options));
          },
      .step = [=](const scan::Inputs& in) { return back(scan::step(moved(in, device), implementation)); },
      .refusal_of_chunk = refusal(scan::Pass::chunk),
      .refusal_of_step = refusal(scan::Pass::step),
      .device = device,
      .name = implementation};
  if (!device.is_cpu()) kernel.dtypes.push_back(at::kHalf);
  return kernel;
}

}  // namespace mdnlab::check
