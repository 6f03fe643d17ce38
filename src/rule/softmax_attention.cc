// H heads of queries, G heads of keys and values, S the keys seen: those kept, then this call's T tokens.
#include "rule/softmax_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include <algorithm>

#include "ops/attention.h"
#include "ops/layer.h"
#include "rule/influence.h"

namespace mdnlab::softmax_attention {

namespace {

constexpr double qk_norm_eps = 1e-5;

class SoftmaxAttention final : public Rule {
 public:
  SoftmaxAttention(const Params& options, const LayerShape& shape, std::optional<std::int64_t> window)
      : hidden_(shape.hidden_size),
        heads_(options.is_set("num_heads") ? options.integer("num_heads") : shape.num_heads),
        key_heads_(options.is_set("num_kv_heads") ? options.integer("num_kv_heads") : heads_),
        width_(options.is_set("num_heads") ? hidden_ / heads_ : shape.head_dim),
        theta_(options.real("rope_theta")),
        has_bias_(options.boolean("qkv_bias")),
        has_norm_(options.boolean("qk_norm")),
        window_(window) {
    if (options.is_set("num_heads") && hidden_ % heads_ != 0) {
      throw options.error("num_heads", "the heads of attention do not divide hidden_size",
                          "a divisor of " + std::to_string(hidden_));
    }
    if (heads_ % key_heads_ != 0) {
      throw options.error("num_kv_heads", "num_kv_heads does not divide the heads",
                          "a divisor of " + std::to_string(heads_));
    }
    if (width_ % 2 != 0) throw options.error("rope_theta", "rotary positions need an even head_dim");
  }

  std::vector<ParameterSpec> parameters() const override {
    const std::int64_t queries = heads_ * width_, keys = key_heads_ * width_;
    const Initial normal{}, zero{.kind = Initial::Kind::constant, .a = 0};
    std::vector<ParameterSpec> list;
    for (const auto& [stream, width] : {std::pair("q_proj", queries), {"k_proj", keys}, {"v_proj", keys}}) {
      list.push_back({std::string(stream) + ".weight", {width, hidden_}, normal});
      if (has_bias_) list.push_back({std::string(stream) + ".bias", {width}, zero, false});
    }
    if (has_norm_) {
      const Initial one{.kind = Initial::Kind::constant, .a = 1};
      list.push_back({"q_norm.weight", {width_}, one, false});
      list.push_back({"k_norm.weight", {width_}, one, false});
    }
    list.push_back({"o_proj.weight", {hidden_, queries}, normal});
    return list;
  }

  std::vector<StateSpec> state(std::int64_t context_tokens, at::ScalarType dtype) const override {
    const std::int64_t kept = std::min(context_tokens, window_.value_or(context_tokens));
    return {{"keys", {key_heads_, kept, width_}, dtype}, {"values", {key_heads_, kept, width_}, dtype}};
  }

  double mixing_flops(std::int64_t context_tokens) const override {
    // Token t = 1… sees min(t, window) keys; two products with each.
    const auto context = static_cast<double>(context_tokens);
    const double window = std::min(context, static_cast<double>(window_.value_or(context_tokens)));
    const double mean_keys = window - window * (window - 1) / (2 * context);
    return 4.0 * static_cast<double>(heads_ * width_) * mean_keys;
  }

  at::Tensor forward(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                     LayerState* state) const override {
    const std::int64_t batch = x_BTD.size(0), tokens = x_BTD.size(1), past = state ? state->position : 0;
    auto [q, k, v] = projected(x_BTD, weights, documents, past);
    if (past > 0) {
      k = at::cat({state->tensors[0], k}, 2);
      v = at::cat({state->tensors[1], v}, 2);
    }
    if (state) {
      const std::int64_t kept = std::min(k.size(2), window_.value_or(k.size(2)));
      state->tensors = {k.narrow(2, k.size(2) - kept, kept).contiguous(),
                        v.narrow(2, v.size(2) - kept, kept).contiguous()};
      state->position += tokens;
    }
    const at::Tensor o = ops::causal_attention(q, k, v, documents, window_);
    return ops::linear(o.transpose(1, 2).reshape({batch, tokens, heads_ * width_}), weights["o_proj.weight"]);
  }

  // The softmax itself.
  std::optional<at::Tensor> influence(const at::Tensor& x_BTD, const Weights& weights, std::int64_t first,
                                      std::int64_t count) const override {
    const at::NoGradGuard no_grad;
    const auto [q, k, v] = projected(x_BTD, weights, {}, 0);
    const at::Tensor one_hot = one_hot_values(v.transpose(1, 2), first, count).transpose(1, 2);
    const auto widened = [&](const at::Tensor& x) { return x.to(one_hot.scalar_type()); };
    return ops::causal_attention(widened(q), widened(k), one_hot, {}, window_).transpose(1, 2);
  }

 private:
  struct Projected {
    at::Tensor q_BHTK, k_BGTK, v_BGTK;
  };

  // q and k rotated, the first token at position `past`.
  Projected projected(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                      std::int64_t past) const {
    const std::int64_t batch = x_BTD.size(0), tokens = x_BTD.size(1);
    const at::Tensor position =
        documents.exist() ? documents.position_BT
                          : at::arange(past, past + tokens, x_BTD.options().dtype(at::kLong)).unsqueeze(0);
    const auto stream = [&](const std::string& name, std::int64_t heads) {
      at::Tensor y = ops::linear(x_BTD, weights[name + "_proj.weight"]);
      if (has_bias_) y = y + weights[name + "_proj.bias"].to(y.scalar_type());
      return y.view({batch, tokens, heads, width_});
    };
    const auto rotated = [&](const std::string& name, std::int64_t heads) {
      at::Tensor y = stream(name, heads);
      if (has_norm_) y = ops::rms_norm(y, weights[name + "_norm.weight"], qk_norm_eps);
      return ops::rotary(y, position, theta_).transpose(1, 2);
    };
    return {rotated("q", heads_), rotated("k", key_heads_), stream("v", key_heads_).transpose(1, 2)};
  }

  std::int64_t hidden_, heads_, key_heads_, width_;
  double theta_;
  bool has_bias_, has_norm_;
  std::optional<std::int64_t> window_;
};

}  // namespace

std::unique_ptr<Rule> layer(const Params& options, const LayerShape& shape,
                            std::optional<std::int64_t> window) {
  return std::make_unique<SoftmaxAttention>(options, shape, window);
}

}  // namespace mdnlab::softmax_attention
