// chunk() as a node of the autograd graph, by the chosen implementation.
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "scan/implementation.h"
#include "scan/remade.h"

namespace mdnlab::scan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::vector<at::Tensor> given_tensors(const Inputs& inputs) {
  std::vector<at::Tensor> given;
  for (const at::Tensor* tensor : tensors(inputs)) {
    if (tensor->defined()) given.push_back(*tensor);
  }
  return given;
}

class ChunkFunction : public torch::autograd::Function<ChunkFunction> {
 public:
  // `given` are the defined tensors of `inputs`, the arguments that autograd sees; options.implementation is
  // the chosen one, which saves nothing where `saves` is false. Results are o and, when wanted, S and M.
  static variable_list forward(AutogradContext* context, at::TensorList /*given*/, const Inputs& inputs,
                               const Options& options, bool saves) {
    Saved saved;
    const Outputs out =
        choose(inputs, options.implementation).forward(inputs, options, saves ? &saved : nullptr);
    variable_list kept;
    for (const at::Tensor* tensor : tensors(inputs)) kept.push_back(*tensor);
    kept.push_back(inputs.cu_seqlens);
    kept.insert(kept.end(), saved.begin(), saved.end());
    save_or_remake(context, std::move(kept));
    context->saved_data["mu_shares_alpha"] = inputs.mu_shares_alpha;
    context->saved_data["has_delta"] = inputs.has_delta;
    context->saved_data["look_ahead"] = inputs.look_ahead;
    context->saved_data["chunk_size"] = options.chunk_size;
    context->saved_data["segments"] = options.segments;
    context->saved_data["implementation"] = options.implementation;
    context->set_materialize_grads(false);
    variable_list results{out.o_BTHV};
    if (out.final_S_NHKV.defined()) results.push_back(out.final_S_NHKV);
    if (out.final_M_NHKV.defined()) results.push_back(out.final_M_NHKV);
    return results;
  }

  static variable_list backward(AutogradContext* context, const variable_list& adjoints) {
    if (c10::GradMode::is_enabled()) {
      throw Error(Code::usage, ErrorText{.what = "scan: the backward pass cannot itself be differentiated",
                                         .hint = "scan::reference can, by plain autograd"});
    }
    const variable_list kept = saved_or_remade(context);
    Inputs inputs;
    std::array<bool, kTensors> wanted{};
    std::size_t given = 0;
    for (std::size_t i = 0; i < kTensors; ++i) {
      *tensors(inputs)[i] = kept[i];
      if (kept[i].defined()) wanted[i] = context->needs_input_grad(given++);
    }
    inputs.cu_seqlens = kept[kTensors];
    inputs.mu_shares_alpha = context->saved_data["mu_shares_alpha"].toBool();
    inputs.has_delta = context->saved_data["has_delta"].toBool();
    inputs.look_ahead = context->saved_data["look_ahead"].toDouble();
    const Options options{.chunk_size = context->saved_data["chunk_size"].toInt(),
                          .segments = context->saved_data["segments"].toInt(),
                          .implementation = context->saved_data["implementation"].toStringRef()};
    const Saved saved(kept.begin() + kTensors + 1, kept.end());
    const Inputs gradients =
        choose(inputs, options.implementation).backward(inputs, options, saved, outputs(adjoints), wanted);

    variable_list results;
    for (std::size_t i = 0; i < kTensors; ++i) {
      if (kept[i].defined()) results.push_back(*tensors(gradients)[i]);
    }
    results.resize(given + 3);  // what is no tensor has none
    return results;
  }

  static Outputs outputs(const variable_list& list) {
    return {list[0], list.size() > 1 ? list[1] : at::Tensor(), list.size() > 2 ? list[2] : at::Tensor()};
  }
};

}  // namespace

Outputs chunk(const Inputs& inputs, const Options& options) {
  validate(inputs);
  const Implementation& implementation = choose(inputs, options.implementation);
  const Inputs in = implementation.takes_shared_mu ? inputs : with_own_mu(inputs);
  if (!needs_gradient(in)) return implementation.forward(in, options, nullptr);

  Options chosen = options;
  chosen.implementation = implementation.name;
  const std::vector<at::Tensor> given = given_tensors(in);
  const bool saves = !(remakes().prepared && implementation.prepares_again);
  return ChunkFunction::outputs(ChunkFunction::apply(at::TensorList(given), in, chosen, saves));
}

}  // namespace mdnlab::scan
