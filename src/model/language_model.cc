#include "model/language_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>

#include <stdexcept>
#include <utility>

#include "ops/layer.h"
#include "scan/remade.h"

namespace mdnlab {

LanguageModel::LanguageModel(const ModelSpec& spec, const Plugins& plugins, std::int64_t vocab_size,
                             at::ScalarType dtype, std::uint64_t seed, at::Device device)
    : LanguageModel(
          spec, plugins, vocab_size, dtype,
          [&](at::Tensor& tensor, const ParameterSpec& parameter) {
            mdnlab::fill(tensor, parameter.initial, seed, parameter.name);
          },
          device) {}

LanguageModel::LanguageModel(const ModelSpec& spec, const Plugins& plugins, std::int64_t vocab_size,
                             at::ScalarType dtype, const std::map<std::string, at::Tensor>& values,
                             at::Device device)
    : LanguageModel(
          spec, plugins, vocab_size, dtype,
          [&](at::Tensor& tensor, const ParameterSpec& parameter) {
            const auto value = values.find(parameter.name);
            if (value == values.end() || value->second.sizes() != tensor.sizes()) {
              throw std::logic_error("no value for " + parameter.name);
            }
            tensor.copy_(value->second);
          },
          device) {}

LanguageModel::LanguageModel(const ModelSpec& spec, const Plugins& plugins, std::int64_t vocab_size,
                             at::ScalarType dtype, const Fill& fill, at::Device device)
    : vocab_size_(vocab_size),
      recompute_layers_(spec.options.integer("recompute_layers")),
      recompute_scan_layers_(spec.options.integer("recompute_scan_layers")),
      norm_eps_(spec.options.real("norm_eps")),
      dtype_(dtype) {
  std::vector<std::unique_ptr<Rule>> rules = build_rules(spec, plugins);
  std::map<std::string, at::Tensor> tensors;
  for (const ParameterSpec& parameter : parameter_specs(spec, rules, vocab_size)) {
    const at::TensorOptions options(dtype == at::kDouble ? at::kDouble : at::kFloat);
    at::Tensor tensor = at::empty(parameter.shape, device.is_meta() ? options.device(device) : options);
    if (!device.is_meta()) fill(tensor, parameter);
    tensor = tensor.to(device).set_requires_grad(true);
    parameters_.push_back({parameter.name, tensor, parameter.decays});
    tensors[parameter.name] = tensor;
  }
  const auto tensor = [&](const std::string& name) {
    const auto found = tensors.find(name);
    return found == tensors.end() ? at::Tensor() : found->second;
  };
  embedding_ = tensor("model.embeddings.weight");
  norm_ = tensor("model.norm.weight");
  head_ = tensor("lm_head.weight").defined() ? tensor("lm_head.weight") : embedding_;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    Block block{.attn_norm = tensor(layer + "attn_norm.weight"),
                .mlp_norm = tensor(layer + "mlp_norm.weight"),
                .gate = tensor(layer + "mlp.gate_proj.weight"),
                .up = tensor(layer + "mlp.up_proj.weight"),
                .down = tensor(layer + "mlp.down_proj.weight")};
    for (const ParameterSpec& own : rules[i]->parameters())
      block.weights.add(own.name, tensor(layer + "attn." + own.name));
    block.rule = std::move(rules[i]);
    blocks_.push_back(std::move(block));
  }
}

at::Tensor LanguageModel::hidden(const at::Tensor& tokens_BT, const ops::Documents& documents,
                                 ModelState* state, const ForwardObserver& observer) const {
  if (state && state->layers.empty()) state->layers.resize(blocks_.size());
  // x is the residual stream up to `branch`, which the next norm adds.
  at::Tensor x = at::embedding(embedding_, tokens_BT), branch;
  const auto tell = [&](const char* part, const at::Tensor& output, std::size_t layer) {
    if (observer.output) observer.output("model.layers." + std::to_string(layer) + "." + part, output);
  };
  const auto next_norm = [&](const at::Tensor& weight) {
    auto [sum, normed] = ops::add_rms_norm(x, branch, weight, norm_eps_, dtype_);
    x = std::move(sum);
    return normed;
  };
  if (observer.output) observer.output("model.embeddings", x);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    const auto layer = static_cast<std::int64_t>(i);
    const Remaking remaking({layer < recompute_layers_, layer < recompute_scan_layers_});
    const at::Tensor normed = next_norm(block.attn_norm);
    tell("attn_norm", normed, i);
    if (observer.rule_input) observer.rule_input(i, *block.rule, block.weights, normed);
    branch = block.rule->forward(normed, block.weights, documents, state ? &state->layers[i] : nullptr);
    tell("attn", branch, i);
    if (!block.mlp_norm.defined()) continue;
    const at::Tensor wide = next_norm(block.mlp_norm);
    tell("mlp_norm", wide, i);
    branch = ops::linear(ops::swiglu(ops::linear(wide, block.gate), ops::linear(wide, block.up)), block.down);
    tell("mlp", branch, i);
  }
  const at::Tensor normed = next_norm(norm_);
  if (observer.output) observer.output("model.norm", normed);
  return normed;
}

at::Tensor LanguageModel::logits(const at::Tensor& hidden) const {
  return ops::linear(hidden, head_).to(dtype_ == at::kDouble ? at::kDouble : at::kFloat);
}

}  // namespace mdnlab
