#include "model/language_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>

#include <stdexcept>
#include <utility>

#include "ops/decode.h"
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

LanguageModel LanguageModel::without_gradients() const {
  LanguageModel copy = *this;
  copy.parameters_.clear();
  const auto cast = [&](at::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.dim() == 2 ? tensor.detach().to(dtype_) : tensor.detach();
  };
  cast(copy.head_);
  for (Block& block : copy.blocks_) {
    for (at::Tensor* matrix : {&block.gate, &block.up, &block.down}) cast(*matrix);
    Weights weights;
    for (auto [name, tensor] : block.weights.all()) {
      cast(tensor);
      weights.add(name, tensor);
    }
    block.weights = std::move(weights);
  }
  return copy;
}

ModelState LanguageModel::decoding_state(const ModelState& state, std::int64_t tokens) const {
  ModelState own;
  for (std::size_t i = 0; i < blocks_.size(); ++i)
    own.layers.push_back(blocks_[i].rule->decoding_state(state.layers[i], tokens));
  return own;
}

std::int64_t LanguageModel::step_bytes(std::int64_t rows, std::int64_t context_tokens) const {
  std::int64_t bytes = 0;
  const auto read = [&](const at::Tensor& weight) {
    if (weight.defined()) bytes += static_cast<std::int64_t>(weight.nbytes());
  };
  const auto state_bytes = [&](const Block& block, std::int64_t tokens) {
    std::int64_t sum = 0;
    for (const StateSpec& part : block.rule->state(tokens, dtype_)) sum += part.bytes();
    return sum;
  };
  read(head_);
  read(norm_);
  for (const Block& block : blocks_) {
    for (const at::Tensor* weight : {&block.attn_norm, &block.mlp_norm, &block.gate, &block.up, &block.down})
      read(*weight);
    for (const auto& [name, weight] : block.weights.all()) read(weight);
    // A state that grows with the text is read, and a token of it written; any other is written whole.
    const bool grows = state_bytes(block, 1) < state_bytes(block, 2);
    bytes += rows * state_bytes(block, context_tokens) * (grows ? 1 : 2);
  }
  return bytes;
}

void LanguageModel::step_mlp(const Block& block, const at::Tensor& x) const {
  const ops::FusedDecoding* const kernels = ops::fused_decoding(x.device(), dtype_);
  const std::int64_t width = block.up.size(0);
  if (kernels && block.up.scalar_type() == dtype_ && kernels->takes_product(x.size(1)) &&
      kernels->takes_product(width)) {
    const at::Tensor inner = at::empty({x.size(0), width}, x.options().dtype(dtype_));
    kernels->product({x, block.mlp_norm, norm_eps_},
                     {{.output = ops::RowsOutput::swiglu, .weight = block.gate, .y = inner, .up = block.up}});
    kernels->product({}, {{.output = ops::RowsOutput::add, .weight = block.down, .y = x, .x = inner}});
    return;
  }
  const at::Tensor normed = ops::add_rms_norm(x, {}, block.mlp_norm, norm_eps_, dtype_).normed;
  x.add_(
      ops::linear(ops::swiglu(ops::linear(normed, block.gate), ops::linear(normed, block.up)), block.down));
}

at::Tensor LanguageModel::step(const at::Tensor& tokens_R, ModelState& state) const {
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::embedding(embedding_, tokens_R);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    block.rule->step(x, {block.attn_norm, norm_eps_, dtype_}, block.weights, state.layers[i]);
    if (block.mlp_norm.defined()) step_mlp(block, x);
  }
  const ops::FusedDecoding* const kernels = ops::fused_decoding(x.device(), dtype_);
  if (kernels && head_.scalar_type() == dtype_ && kernels->takes_product(x.size(1))) {
    // Rows at even places, where four logits are written at once.
    const at::Tensor logits =
        at::empty({x.size(0), (vocab_size_ + 3) / 4 * 4}, x.options()).narrow(1, 0, vocab_size_);
    kernels->product({x, norm_, norm_eps_},
                     {{.output = ops::RowsOutput::widen, .weight = head_, .y = logits}});
    return logits;
  }
  return logits(ops::add_rms_norm(x, {}, norm_, norm_eps_, dtype_).normed);
}

void LanguageModel::likeliest(const at::Tensor& logits, at::Tensor& tokens) const {
  const ops::FusedDecoding* const kernels = ops::fused_decoding(logits.device(), dtype_);
  const bool is_even =
      logits.scalar_type() == at::kFloat && logits.stride(0) % 4 == 0 && logits.stride(1) == 1;
  if (kernels && is_even) return kernels->largest(logits, tokens);
  at::argmax_out(tokens, logits, -1);
}

at::Tensor LanguageModel::logits(const at::Tensor& hidden) const {
  return ops::linear(hidden, head_).to(dtype_ == at::kDouble ? at::kDouble : at::kFloat);
}

}  // namespace mdnlab
