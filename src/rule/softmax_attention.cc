// H heads of queries, G heads of keys and values, S the keys seen: those kept, then this call's T tokens.
#include "rule/softmax_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

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
    if (state) in_order(*state);
    auto [q, k, v] = projected(x_BTD, weights, positions(x_BTD, documents, past));
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

  // In a ring of slots: token i's keys and values are in slot i modulo their number. Beside them, by
  // sequence, how many tokens it has seen, for a recording has no other way to know.
  LayerState decoding_state(const LayerState& state, std::int64_t tokens) const override {
    LayerState ordered = state;
    in_order(ordered);
    const std::int64_t slots = std::min(state.position + tokens, window_.value_or(state.position + tokens));
    LayerState ring{.position = state.position};
    for (const at::Tensor& kept : ordered.tensors) {
      at::Tensor slot = at::zeros({kept.size(0), key_heads_, slots, width_}, kept.options());
      slot.index_copy_(2, slots_of(state.position - kept.size(2), state.position, slots, kept), kept);
      ring.tensors.push_back(slot);
    }
    const at::Tensor& keys = ring.tensors[0];
    ring.tensors.push_back(at::full({keys.size(0)}, state.position, keys.options().dtype(at::kLong)));
    return ring;
  }

  void step(const at::Tensor& x_RD, const StreamNorm& norm, const Weights& weights,
            LayerState& state) const override {
    const at::Tensor &keys = state.tensors.at(0), &values = state.tensors.at(1), &seen = state.tensors.at(2);
    const std::int64_t slots = keys.size(2);
    const at::Tensor normed =
        ops::add_rms_norm(x_RD, {}, norm.weight, norm.eps, norm.dtype).normed.unsqueeze(1);
    const auto [q, k, v] = projected(normed, weights, seen.unsqueeze(1));
    const at::Tensor slot = seen.narrow(0, 0, 1).remainder(slots);  // all have seen as many
    keys.index_copy_(2, slot, k);
    values.index_copy_(2, slot, v);
    const at::Tensor mask = at::arange(slots, seen.options()) <= seen.narrow(0, 0, 1);
    const at::Tensor o = ops::attention_over(q, keys, values, mask.view({1, 1, 1, slots}));
    x_RD.add_(ops::linear(o.reshape({x_RD.size(0), heads_ * width_}), weights["o_proj.weight"]));
    seen.add_(1);
    ++state.position;
  }

  // The softmax itself.
  std::optional<at::Tensor> influence(const at::Tensor& x_BTD, const Weights& weights, std::int64_t first,
                                      std::int64_t count) const override {
    const at::NoGradGuard no_grad;
    const auto [q, k, v] = projected(x_BTD, weights, positions(x_BTD, {}, 0));
    const at::Tensor one_hot = one_hot_values(v.transpose(1, 2), first, count).transpose(1, 2);
    const auto widened = [&](const at::Tensor& x) { return x.to(one_hot.scalar_type()); };
    return ops::causal_attention(widened(q), widened(k), one_hot, {}, window_).transpose(1, 2);
  }

 private:
  struct Projected {
    at::Tensor q_BHTK, k_BGTK, v_BGTK;
  };

  // (B,T) or (1,T); without documents the first token is at `past`.
  static at::Tensor positions(const at::Tensor& x_BTD, const ops::Documents& documents, std::int64_t past) {
    if (documents.exist()) return documents.position_BT;
    return at::arange(past, past + x_BTD.size(1), x_BTD.options().dtype(at::kLong)).unsqueeze(0);
  }

  static at::Tensor slots_of(std::int64_t first, std::int64_t end, std::int64_t slots, const at::Tensor& on) {
    return at::arange(first, end, on.options().dtype(at::kLong)).remainder(slots);
  }

  // From a decoding state back to the keys and values of the last tokens, oldest first.
  static void in_order(LayerState& state) {
    if (state.tensors.size() != 3) return;
    const std::int64_t slots = state.tensors[0].size(2), kept = std::min(slots, state.position);
    const at::Tensor order = slots_of(state.position - kept, state.position, slots, state.tensors[0]);
    state.tensors = {state.tensors[0].index_select(2, order), state.tensors[1].index_select(2, order)};
  }

  // q and k rotated.
  Projected projected(const at::Tensor& x_BTD, const Weights& weights, const at::Tensor& position) const {
    const std::int64_t batch = x_BTD.size(0), tokens = x_BTD.size(1);
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
