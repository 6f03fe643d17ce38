#include "train/not_finite.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace mdnlab {

namespace {

// Rows whose logits are held at once.
constexpr std::int64_t row_count = 1024;

bool is_finite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

std::string output_text(const LanguageModel& model, const std::string& name) {
  for (const Parameter& parameter : model.parameters()) {
    if (parameter.name.starts_with(name + ".") && !is_finite(parameter.tensor)) {
      return fmt::format("the output of {}, as its parameter {} is not finite", name, parameter.name);
    }
  }
  return "the output of " + name;
}

std::string first_output(const LanguageModel& model, const StepBatches& step) {
  std::string first;
  const ForwardObserver observer{.output = [&](const std::string& name, const at::Tensor& output) {
    if (first.empty() && !is_finite(output)) first = output_text(model, name);
  }};
  for (const LabelledBatch& batch : step.batches) {
    const at::Tensor hidden = model.hidden(batch.tokens_BT, batch.documents, nullptr, observer).flatten(0, 1);
    for (const at::Tensor& rows : hidden.split(row_count)) {
      if (first.empty() && !is_finite(model.logits(rows))) first = output_text(model, "lm_head");
    }
    if (!first.empty()) break;
  }
  return first;
}

std::string first_gradient(const LanguageModel& model) {
  std::string largest;
  double most = 0;
  // Parameters are in the order of the forward pass.
  for (const Parameter& parameter : std::views::reverse(model.parameters())) {
    const at::Tensor& gradient = parameter.tensor.grad();
    if (!gradient.defined()) continue;
    if (!is_finite(gradient)) return "the gradient of " + parameter.name;
    const double size = gradient.abs().max().item<double>();
    if (size > most) {
      most = size;
      largest = parameter.name;
    }
  }
  return fmt::format("the norm of all gradients: each is finite, and that of {} reaches {:.2g}", largest,
                     most);
}

}  // namespace

std::string first_not_finite(const LanguageModel& model, const StepBatches& step) {
  const at::NoGradGuard no_grad;
  const std::string output = first_output(model, step);
  return output.empty() ? first_gradient(model) : output;
}

}  // namespace mdnlab
