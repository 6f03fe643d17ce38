// A causal language model of pre-norm blocks: x ← x + rule(norm(x)); x ← x + SwiGLU(norm(x)).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/spec.h"

namespace mdnlab {

struct Parameter {
  std::string name;
  at::Tensor tensor;  // a leaf that requires a gradient; float32 (float64 in an f64 model)
  bool decays = true;
};

// What decoding carries from call to call, a state a layer.
struct ModelState {
  std::vector<LayerState> layers;
};

// Sees a forward pass on its way, from the first layer on; either may be empty.
struct ForwardObserver {
  // What each layer's rule is given: its weights and its normed input (B,T,D) in the compute dtype.
  std::function<void(std::size_t layer, const Rule& rule, const Weights& weights,
                     const at::Tensor& normed_BTD)>
      rule_input;
  // What each part gives, by the name that its parameters begin with: "model.embeddings",
  // "model.layers.3.attn_norm", ".attn", ".mlp_norm", ".mlp", "model.norm".
  std::function<void(const std::string& name, const at::Tensor& output_BTD)> output;
};

class LanguageModel {
 public:
  // Initial values are a function of the seed and each parameter's name, the same on every device. `dtype` is
  // the compute dtype; the residual stream and the parameters stay float32 (float64 for f64).
  LanguageModel(const ModelSpec& spec, const Plugins& plugins, std::int64_t vocab_size, at::ScalarType dtype,
                std::uint64_t seed, at::Device device = at::kCPU);

  // With these values (trained ones), by the names and in the shapes of parameter_specs: one that is missing
  // or misshapen is a std::logic_error.
  LanguageModel(const ModelSpec& spec, const Plugins& plugins, std::int64_t vocab_size, at::ScalarType dtype,
                const std::map<std::string, at::Tensor>& values, at::Device device = at::kCPU);

  // tokens int64 (B,T) → final normed hidden states (B,T,D) in the compute dtype. With `state`, goes on from
  // it. Tokens and documents are on the model's device.
  at::Tensor hidden(const at::Tensor& tokens_BT, const ops::Documents& documents = {},
                    ModelState* state = nullptr, const ForwardObserver& observer = {}) const;

  // The same model for what needs no gradients: without parameters(), its matrices in the compute dtype, so
  // that no call casts them again. What is in that dtype already is shared.
  LanguageModel without_gradients() const;

  // One token of each of R sequences, (R) int64, for decoding: goes on from `state` in place (Rule::step) and
  // gives the next ones' logits (R,vocabulary). Without gradients.
  at::Tensor step(const at::Tensor& tokens_R, ModelState& state) const;

  // tokens (R) int64 ← the likeliest of each row of such logits, of equal ones the first.
  void likeliest(const at::Tensor& logits, at::Tensor& tokens) const;

  // A state that hidden() or step() left, with room for `tokens` more, as step() wants it.
  ModelState decoding_state(const ModelState& state, std::int64_t tokens) const;

  // What step() reads of weights and reads and writes of R sequences' states behind `context_tokens`.
  std::int64_t step_bytes(std::int64_t rows, std::int64_t context_tokens) const;

  // hidden (…,D) → logits (…,vocabulary) in float32 (float64 for f64).
  at::Tensor logits(const at::Tensor& hidden) const;

  // Of the head, (vocabulary,D).
  const at::Tensor& head() const { return head_; }

  const std::vector<Parameter>& parameters() const { return parameters_; }
  std::int64_t vocab_size() const { return vocab_size_; }
  at::Device device() const { return embedding_.device(); }

 private:
  using Fill = std::function<void(at::Tensor&, const ParameterSpec&)>;
  LanguageModel(const ModelSpec& spec, const Plugins& plugins, std::int64_t vocab_size, at::ScalarType dtype,
                const Fill& fill, at::Device device);

  struct Block {
    std::shared_ptr<const Rule> rule;
    Weights weights;
    at::Tensor attn_norm, mlp_norm, gate, up, down;  // mlp_norm undefined: no MLP
  };
  void step_mlp(const Block& block, const at::Tensor& x_RD) const;

  std::vector<Parameter> parameters_;
  std::vector<Block> blocks_;
  at::Tensor embedding_, norm_, head_;
  std::int64_t vocab_size_, recompute_layers_, recompute_scan_layers_;
  double norm_eps_;
  at::ScalarType dtype_;
};

}  // namespace mdnlab
