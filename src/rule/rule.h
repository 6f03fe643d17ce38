// What a recurrence rule is to the rest of the laboratory: for one layer, its learned parameters, its
// decoding state, its cost, and its forward pass. A rule holds no tensors of its own; the model owns them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/documents.h"
#include "rule/initial.h"

namespace mdnlab {

// What the model says to each of its layers (the `model:` section of the YAML).
struct LayerShape {
  std::int64_t hidden_size = 0;
  std::int64_t num_heads = 0;
  std::int64_t head_dim = 0;   // K
  double expand_v = 1;         // V = head_dim · expand_v
  std::int64_t conv_size = 4;  // taps of the short convolution; 0: none
  double norm_eps = 1e-6;
  std::int64_t num_hidden_layers = 1;
  std::int64_t layer = 0;  // from 0

  std::int64_t value_dim() const {
    return static_cast<std::int64_t>(static_cast<double>(head_dim) * expand_v);
  }
};

struct ParameterSpec {
  std::string name;  // within the layer, e.g. "q_proj.weight"
  std::vector<std::int64_t> shape;
  Initial initial;
  bool decays = true;  // takes part in weight decay; gates, norms and biases do not

  std::int64_t count() const;
};

struct StateSpec {
  std::string name;
  std::vector<std::int64_t> shape;  // of one sequence
  at::ScalarType dtype;

  std::int64_t bytes() const;
};

// The learned tensors of one layer, by the names of its ParameterSpecs.
class Weights {
 public:
  void add(std::string name, at::Tensor tensor) { tensors_.emplace_back(std::move(name), std::move(tensor)); }
  const at::Tensor& operator[](std::string_view name) const;  // unknown: std::logic_error
  const std::vector<std::pair<std::string, at::Tensor>>& all() const { return tensors_; }

 private:
  std::vector<std::pair<std::string, at::Tensor>> tensors_;
};

// What a layer carries from one call to the next, in the order of Rule::state; each tensor has a leading
// batch dimension. Empty before the first call, which starts from nothing. Gradients pass through it: a
// sequence run in parts has those of the whole.
struct LayerState {
  std::vector<at::Tensor> tensors;
  std::int64_t position = 0;  // tokens seen
};

// The norm in front of a layer: rms_norm of ops/layer.h, its result in `dtype`.
struct StreamNorm {
  at::Tensor weight;
  double eps;
  at::ScalarType dtype;
};

// Of the scan (scan/chunk.h), per token and value head, in float32 (float64 in a float64 model). Undefined
// ones are neutral.
struct Coefficients {
  at::Tensor log_alpha;          // (B,T,H), or (B,T,H,K) where the decay is channel-wise
  at::Tensor log_mu;             // (B,T,H), or (B,T,H,K); undefined: no momentum
  bool mu_shares_alpha = false;  // log_mu, (B,T,H), is log ν of μ = ν∘α; only where log_alpha is (B,T,H,K)
  at::Tensor beta;               // (B,T,H)
  at::Tensor eta;                // (B,T,H)
  at::Tensor erase_share;        // (B,T,H), π in p = π·α∘k; undefined: 1
  double look_ahead = 0;         // ω in o = (S − ωM)ᵀq
  bool has_delta = false;        // the layer fills it in; without, p = 0
};

class Rule {
 public:
  virtual ~Rule();

  virtual std::vector<ParameterSpec> parameters() const = 0;

  // Every tensor needed to go on decoding one sequence after `context_tokens` tokens, compute dtype `dtype`.
  virtual std::vector<StateSpec> state(std::int64_t context_tokens, at::ScalarType dtype) const = 0;

  // Multiply-adds × 2 of one token's forward pass outside the parameters' own matrix products
  // (the scan, attention over the mean context), at this context length.
  virtual double mixing_flops(std::int64_t context_tokens) const = 0;

  // x (B,T,D) in the compute dtype → y (B,T,D). With `state`, goes on from it and leaves the new one there:
  // any T, one token included; without, starts from nothing. Documents and a state do not come together.
  virtual at::Tensor forward(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                             LayerState* state) const = 0;

  // Decoding, one token of each of R sequences, without gradients: x ← x + forward(norm(x)) in place, with
  // x (R,D) the residual stream, and the state, which decoding_state() gave, goes on. Its tensors stay where
  // they are, for a recording (ops/recording.h) plays on them; on the CPU others may come in their place.
  virtual void step(const at::Tensor& x_RD, const StreamNorm& norm, const Weights& weights,
                    LayerState& state) const;

  // A copy of a state that forward() or step() left, with room for `tokens` more, as step() wants it;
  // forward() takes it too.
  virtual LayerState decoding_state(const LayerState& state, std::int64_t tokens) const;

  // What the rule tells the scan about these inputs, as `forward` would from nothing: for reports on gates.
  // No coefficient rule: nullopt.
  virtual std::optional<Coefficients> coefficients(const at::Tensor& x_BTD, const Weights& weights) const;

  // c(t,i) in o_t = Σ_i c(t,i) v_i, where v are the values that the memory (or attention) is given and o what
  // is read of it, before gate, norm and projection: of the tokens i in [first, first + count) at every t of
  // every head, (B,T,H,count), exactly (rule/influence.h), as `forward` would from nothing; float32, or
  // float64 where x is. Without gradients. A rule that is not linear in values, or does not say: nullopt.
  virtual std::optional<at::Tensor> influence(const at::Tensor& x_BTD, const Weights& weights,
                                              std::int64_t first, std::int64_t count) const;
};

}  // namespace mdnlab
