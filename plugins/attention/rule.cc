// Softmax attention with rotary positions, causal, with a cache of keys and values. README.md has the
// formulas. S is the length of keys seen: the cache, then this call's T tokens.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <array>
#include <cmath>

#include "ops/layer.h"
#include "rule/abi.h"

namespace {

using namespace mdnlab;

constexpr std::array fields{Field{.name = "rope_theta",
                                  .type = Type::real,
                                  .preset = "10000",
                                  .doc = "base of the rotary angles",
                                  .least = 1}};

class Attention final : public Rule {
 public:
  Attention(const Params& params, const LayerShape& shape)
      : hidden_(shape.hidden_size),
        heads_(shape.num_heads),
        width_(shape.head_dim),
        theta_(params.real("rope_theta")) {
    if (width_ % 2 != 0) throw params.error("rope_theta", "rotary positions need an even head_dim");
  }

  std::vector<ParameterSpec> parameters() const override {
    const std::int64_t inner = heads_ * width_;
    const Initial normal{};
    return {{"q_proj.weight", {inner, hidden_}, normal},
            {"k_proj.weight", {inner, hidden_}, normal},
            {"v_proj.weight", {inner, hidden_}, normal},
            {"o_proj.weight", {hidden_, inner}, normal}};
  }

  std::vector<StateSpec> state(std::int64_t context_tokens, at::ScalarType dtype) const override {
    return {{"keys", {heads_, context_tokens, width_}, dtype},
            {"values", {heads_, context_tokens, width_}, dtype}};
  }

  double mixing_flops(std::int64_t context_tokens) const override {
    // A token attends to half of the context on average; two products.
    return 2.0 * static_cast<double>(heads_ * width_) * static_cast<double>(context_tokens);
  }

  at::Tensor forward(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                     LayerState* state) const override {
    const std::int64_t batch = x_BTD.size(0), tokens = x_BTD.size(1), past = state ? state->position : 0;
    const auto heads = [&](const char* name) {
      return ops::linear(x_BTD, weights[name]).view({batch, tokens, heads_, width_});
    };
    const at::Tensor position =
        documents.exist() ? documents.position_BT
                          : at::arange(past, past + tokens, x_BTD.options().dtype(at::kLong)).unsqueeze(0);
    const at::Tensor q = ops::rotary(heads("q_proj.weight"), position, theta_).transpose(1, 2);
    at::Tensor k = ops::rotary(heads("k_proj.weight"), position, theta_).transpose(1, 2);
    at::Tensor v = heads("v_proj.weight").transpose(1, 2);
    if (past > 0) {
      k = at::cat({state->tensors[0], k}, 2);
      v = at::cat({state->tensors[1], v}, 2);
    }
    if (state) {
      state->tensors = {k.contiguous(), v.contiguous()};
      state->position += tokens;
    }

    // A first call without documents is plainly causal, and one token sees everything; else the mask says it.
    const bool plain = past == 0 && !documents.exist();
    at::Tensor mask;
    if (!plain && tokens > 1) {
      const at::Tensor key = at::arange(past + tokens, position.options());
      const at::Tensor query = at::arange(past, past + tokens, position.options());
      mask = key.unsqueeze(0) <= query.unsqueeze(1);  // (T,S)
      if (documents.exist()) {
        const at::Tensor first = query - documents.position_BT;  // (B,T): where the query's document starts
        mask = (mask & (key >= first.unsqueeze(-1))).unsqueeze(1);
      }
    }
    const at::Tensor o = at::scaled_dot_product_attention(
        q, k, v, mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt, 0.0, plain && tokens > 1);
    return ops::linear(o.transpose(1, 2).reshape({batch, tokens, heads_ * width_}), weights["o_proj.weight"]);
  }

 private:
  std::int64_t hidden_, heads_, width_;
  double theta_;
};

std::unique_ptr<Rule> create(const Params& params, const LayerShape& shape) {
  return std::make_unique<Attention>(params, shape);
}

}  // namespace

MDNLAB_PLUGIN(create, fields, .name = "attention", .rule_version = 1,
              .summary = "causal softmax attention with rotary positions",
              .capabilities = {.constant_state = false});
