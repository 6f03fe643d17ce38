// chunk() as a node of the autograd graph, by the chosen implementation.
#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "scan/implementation.h"
#include "scan/with_backward.h"

namespace mdnlab::scan {

namespace {

Outputs outputs(const Tensors& list) {
  return {list[0], list.size() > 1 ? list[1] : at::Tensor(), list.size() > 2 ? list[2] : at::Tensor()};
}

Tensors in_order(const Inputs& inputs) {
  Tensors list;
  for (const at::Tensor* tensor : tensors(inputs)) list.push_back(*tensor);
  return list;
}

// `settings` are what of the inputs is no tensor.
Tensors backward(Inputs settings, const Options& options, const BackwardPass& pass) {
  if (c10::GradMode::is_enabled()) {
    throw Error(Code::usage, ErrorText{.what = "scan: the backward pass cannot itself be differentiated",
                                       .hint = "scan::reference can, by plain autograd"});
  }
  std::array<bool, kTensors> wanted{};
  for (std::size_t i = 0; i < kTensors; ++i) {
    *tensors(settings)[i] = pass.kept[i];
    wanted[i] = pass.wanted[i];
  }
  settings.cu_seqlens = pass.kept[kTensors];
  const Saved saved(pass.kept.begin() + kTensors + 1, pass.kept.end());
  return in_order(choose(settings, options.implementation)
                      .backward(settings, options, saved, outputs(pass.adjoints), wanted));
}

}  // namespace

Outputs chunk(const Inputs& inputs, const Options& options) {
  validate(inputs);
  const Implementation& implementation = choose(inputs, options.implementation);
  const Inputs in = implementation.takes_shared_mu ? inputs : with_own_mu(inputs);
  if (!needs_gradient(in)) return implementation.forward(in, options, nullptr);

  const bool saves = !(remakes().prepared && implementation.prepares_again);
  Options chosen = options;
  chosen.implementation = implementation.name;
  Inputs settings = in;
  for (at::Tensor* tensor : tensors(settings)) tensor->reset();
  settings.cu_seqlens.reset();
  return outputs(with_backward(
      in_order(in),
      [&](Tensors& kept) {
        Saved saved;
        const Outputs out = implementation.forward(in, options, saves ? &saved : nullptr);
        kept = in_order(in);
        kept.push_back(in.cu_seqlens);
        kept.insert(kept.end(), saved.begin(), saved.end());
        Tensors results{out.o_BTHV};
        if (out.final_S_NHKV.defined()) results.push_back(out.final_S_NHKV);
        if (out.final_M_NHKV.defined()) results.push_back(out.final_M_NHKV);
        return results;
      },
      [settings, chosen](const BackwardPass& pass) { return backward(settings, chosen, pass); },
      NoAdjoint::undefined));
}

}  // namespace mdnlab::scan
