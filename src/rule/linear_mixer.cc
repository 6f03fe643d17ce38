// Shape letters as in scan/chunk.h; D hidden, C channels of a convolution.
#include "rule/linear_mixer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <array>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "ops/decode.h"
#include "ops/layer.h"
#include "rule/influence.h"
#include "scan/chunk.h"
#include "scan/remade.h"

namespace mdnlab {

namespace {

// p = π·α∘k, for every value head.
at::Tensor erase_key(const at::Tensor& k_BTGK, const Coefficients& gates) {
  at::Tensor factor = gates.erase_share.unsqueeze(-1);
  if (gates.log_alpha.defined()) {
    factor = factor * (gates.log_alpha.dim() == 4 ? gates.log_alpha : gates.log_alpha.unsqueeze(-1)).exp();
  }
  const std::int64_t shared = factor.size(2) / k_BTGK.size(2);
  const at::Tensor k_BTHK = shared == 1 ? k_BTGK : k_BTGK.repeat_interleave(shared, 2);
  return (k_BTHK * factor).to(k_BTGK.scalar_type());
}

class LinearMixer final : public Rule {
 public:
  LinearMixer(const LayerShape& shape, std::unique_ptr<CoefficientRule> rule)
      : shape_(shape),
        rule_(std::move(rule)),
        needs_(rule_->needs()),
        key_heads_(shape.num_heads),
        heads_(needs_.shell.value_heads > 0 ? needs_.shell.value_heads : key_heads_),
        key_width_(shape.head_dim),
        value_width_(shape.value_dim()),
        taps_(needs_.shell.short_convolution ? shape.conv_size : 0) {
    if (value_width_ < 1 ||
        static_cast<double>(value_width_) != static_cast<double>(key_width_) * shape.expand_v) {
      throw Error(Code::usage, {.what = "head_dim · expand_v is no whole number of value channels",
                                .found = std::to_string(key_width_) + " · " + shortest(shape.expand_v)});
    }
  }

  std::vector<ParameterSpec> parameters() const override {
    const std::int64_t hidden = shape_.hidden_size, keys = key_heads_ * key_width_,
                       values = heads_ * value_width_;
    const Initial normal{}, one{.kind = Initial::Kind::constant, .a = 1},
        zero{.kind = Initial::Kind::constant, .a = 0};
    std::vector<ParameterSpec> list{{"q_proj.weight", {keys, hidden}, normal},
                                    {"k_proj.weight", {keys, hidden}, normal},
                                    {"v_proj.weight", {values, hidden}, normal}};
    const auto add_low_rank = [&](const std::string& name, std::int64_t width) {
      list.push_back({name + "_proj.0.weight", {value_width_, hidden}, normal});
      list.push_back({name + "_proj.1.weight", {width, value_width_}, normal});
    };
    if (needs_.shell.output_gate != OutputGate::none) {
      if (needs_.shell.low_rank_output_gate) {
        add_low_rank("g", values);
        list.push_back({"g_proj.1.bias", {values}, zero, false});
      } else {
        list.push_back({"g_proj.weight", {values, hidden}, normal});
      }
    }
    for (const std::string& gate : needs_.channel_gates) add_low_rank(gate, heads_ * key_width_);
    for (const std::string& gate : needs_.gates) {
      list.push_back({gate + "_proj.weight", {heads_, hidden}, normal});
    }
    if (taps_ > 0) {
      list.push_back({"q_conv1d.weight", {keys, 1, taps_}, normal});
      list.push_back({"k_conv1d.weight", {keys, 1, taps_}, normal});
      list.push_back({"v_conv1d.weight", {values, 1, taps_}, normal});
    }
    for (ParameterSpec& gate : rule_->gate_parameters()) {
      gate.decays = false;
      list.push_back(std::move(gate));
    }
    if (needs_.shell.output_correction) {
      list.push_back({"D_log", {key_heads_}, {.kind = Initial::Kind::log_uniform, .a = 0, .b = 1}, false});
    }
    list.push_back({"o_norm.weight", {value_width_}, one, false});
    list.push_back({"o_proj.weight", {hidden, values}, normal});
    return list;
  }

  std::vector<StateSpec> state(std::int64_t, at::ScalarType dtype) const override {
    const auto wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
    std::vector<StateSpec> list{{"S", {heads_, key_width_, value_width_}, wide}};
    if (needs_.has_momentum) list.push_back({"M", {heads_, key_width_, value_width_}, wide});
    if (taps_ > 1) {
      list.push_back({"q_convolution", {taps_ - 1, key_heads_ * key_width_}, dtype});
      list.push_back({"k_convolution", {taps_ - 1, key_heads_ * key_width_}, dtype});
      list.push_back({"v_convolution", {taps_ - 1, heads_ * value_width_}, dtype});
    }
    return list;
  }

  double mixing_flops(std::int64_t) const override {
    // K·V multiply-adds a head for each of: Sᵀq; with delta Sᵀp; the write of k rᵀ; with momentum another, as
    // M takes k rᵀ and S takes βM. Decays multiply alone and are not counted.
    const double state = static_cast<double>(heads_ * key_width_ * value_width_);
    return 2 * state * ((needs_.has_delta ? 3 : 2) + (needs_.has_momentum ? 1 : 0));
  }

  at::Tensor forward(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                     LayerState* state) const override {
    const std::int64_t batch = x_BTD.size(0), tokens = x_BTD.size(1);
    const bool resumes = state && !state->tensors.empty();
    const std::size_t scan_states = needs_.has_momentum ? 2 : 1;
    Carried carried;
    if (resumes && taps_ > 1) {
      for (std::size_t i = 0; i < 3; ++i) carried[i] = state->tensors[scan_states + i];
    }
    scan::Inputs inputs = scan_inputs(x_BTD, weights, documents, state ? &carried : nullptr);
    if (resumes) {
      inputs.initial_S_NHKV = state->tensors[0];
      if (needs_.has_momentum) inputs.initial_M_NHKV = state->tensors[1];
    }
    const scan::Outputs outputs =
        resumes && tokens == 1 ? scan::step(inputs) : scan::chunk(inputs, {.want_state = state != nullptr});
    if (state) {
      state->tensors = {outputs.final_S_NHKV};
      if (needs_.has_momentum) state->tensors.push_back(outputs.final_M_NHKV);
      if (taps_ > 1) state->tensors.insert(state->tensors.end(), carried.begin(), carried.end());
      state->position += tokens;
    }

    const at::Tensor &o_BTHV = outputs.o_BTHV, &weight = weights["o_norm.weight"];
    const at::Tensor o =
        needs_.shell.output_gate == OutputGate::none
            ? ops::rms_norm(o_BTHV, weight, shape_.norm_eps)
            : ops::gated_rms_norm(
                  o_BTHV, output_gate(x_BTD, weights).view_as(o_BTHV),
                  needs_.shell.output_gate == OutputGate::silu ? ops::NormGate::silu : ops::NormGate::sigmoid,
                  weight, shape_.norm_eps);
    return ops::linear(remade_reshape(o, {batch, tokens, heads_ * value_width_}), weights["o_proj.weight"]);
  }

  void step(const at::Tensor& x_RD, const StreamNorm& norm, const Weights& weights,
            LayerState& state) const override {
    const ops::FusedDecoding* const kernels = ops::fused_decoding(x_RD.device(), norm.dtype);
    const std::optional<GateFormula> formula = rule_->formula(weights);
    if (!kernels || !formula || !kernels->takes_taps(taps_) || formula->keeps_largest_alpha() ||
        !kernels->takes_mixer(key_width_, value_width_) || !kernels->takes_product(shape_.hidden_size) ||
        !kernels->takes_product(heads_ * value_width_) ||
        weights["o_proj.weight"].scalar_type() != norm.dtype)
      return Rule::step(x_RD, norm, weights, state);

    using ops::RowsOutput;
    const std::int64_t keys = key_heads_ * key_width_, values = heads_ * value_width_;
    std::vector<ops::RowsPart> parts, behind;  // of x, and of the narrow side of low ranks
    const auto made = [&](std::int64_t width, at::ScalarType dtype) {
      return at::empty({x_RD.size(0), width}, x_RD.options().dtype(dtype));
    };
    const auto convolved = [&](const std::string& name, std::int64_t width, std::size_t i) {
      parts.push_back(
          {.output = RowsOutput::convolve,
           .weight = weights[name + "_proj.weight"],
           .y = made(width, at::kFloat),
           .taps = taps_ > 0 ? weights[name + "_conv1d.weight"] : at::Tensor(),
           .carried = taps_ > 1 ? state.tensors[(needs_.has_momentum ? 2 : 1) + i] : at::Tensor()});
      return parts.back().y;
    };
    const auto low_rank = [&](const std::string& name, std::int64_t width, const at::Tensor& bias = {}) {
      const at::Tensor narrow = made(value_width_, norm.dtype);
      parts.push_back({.output = RowsOutput::store, .weight = weights[name + "_proj.0.weight"], .y = narrow});
      behind.push_back({.output = RowsOutput::store,
                        .weight = weights[name + "_proj.1.weight"],
                        .y = made(width, norm.dtype),
                        .x = narrow,
                        .bias = bias});
      return behind.back().y;
    };
    ops::MixerStep mixer{
        .q_RC = convolved("q", keys, 0),
        .k_RC = convolved("k", keys, 1),
        .v_RC = convolved("v", values, 2),
        .D_log = needs_.shell.output_correction ? weights["D_log"] : at::Tensor(),
        .key_heads = key_heads_,
        .heads = heads_,
        .key_width = key_width_,
        .rule = formula->rule,
        .gates_RP = made(static_cast<std::int64_t>(needs_.gates.size()) * heads_, norm.dtype),
        .learned = formula->learned,
        .rate_log = formula->rate_log,
        .bias = formula->bias,
        .has_delta = needs_.has_delta,
        .look_ahead = formula->look_ahead,
        .S = state.tensors[0],
        .M = needs_.has_momentum ? state.tensors[1] : at::Tensor(),
        .gate_is_silu = needs_.shell.output_gate == OutputGate::silu,
        .norm_weight = weights["o_norm.weight"],
        .eps = shape_.norm_eps,
        .o_weight = weights["o_proj.weight"],
        .x_RD = x_RD};
    for (std::size_t i = 0; i < needs_.gates.size(); ++i) {
      parts.push_back({.output = RowsOutput::store,
                       .weight = weights[needs_.gates[i] + "_proj.weight"],
                       .y = mixer.gates_RP.narrow(1, static_cast<std::int64_t>(i) * heads_, heads_)});
    }
    if (formula->rate_log.defined())
      mixer.channels_RC = low_rank(needs_.channel_gates[0], heads_ * key_width_);
    if (needs_.shell.output_gate != OutputGate::none && needs_.shell.low_rank_output_gate) {
      mixer.gate_RC = low_rank("g", values, weights["g_proj.1.bias"]);
    } else if (needs_.shell.output_gate != OutputGate::none) {
      mixer.gate_RC = made(values, norm.dtype);
      parts.push_back({.output = RowsOutput::store, .weight = weights["g_proj.weight"], .y = mixer.gate_RC});
    }
    kernels->product({x_RD, norm.weight, norm.eps}, parts);
    if (!behind.empty()) kernels->product({}, behind);
    kernels->mixer(mixer);
    ++state.position;
  }

  std::optional<Coefficients> coefficients(const at::Tensor& x_BTD, const Weights& weights) const override {
    return gates_of(x_BTD, weights);
  }

  std::optional<at::Tensor> influence(const at::Tensor& x_BTD, const Weights& weights, std::int64_t first,
                                      std::int64_t count) const override {
    return scan_influence(scan_inputs(x_BTD, weights, {}, nullptr), first, count);
  }

 private:
  using Carried = std::array<at::Tensor, 3>;  // of the convolutions of q, k and v

  // From nothing. `carried`: what the convolutions go on from, and leave there.
  scan::Inputs scan_inputs(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                           Carried* carried) const {
    const auto stream = [&](const std::string& name, std::size_t i) {
      return ops::Stream{.x_BTC = ops::linear(x_BTD, weights[name + "_proj.weight"]),
                         .weight = taps_ > 0 ? weights[name + "_conv1d.weight"] : at::Tensor(),
                         .carried = carried ? &(*carried)[i] : nullptr};
    };
    const ops::Stream queries = stream("q", 0), keys = stream("k", 1), values = stream("v", 2);
    const auto [q, k] =
        ops::query_key(queries, keys, key_heads_,
                       needs_.shell.output_correction ? weights["D_log"] : at::Tensor(), documents);
    const at::Tensor v =
        remade_reshape(ops::short_convolution(values.x_BTC, values.weight, {}, documents, values.carried),
                       {x_BTD.size(0), x_BTD.size(1), heads_, value_width_});

    const Coefficients gates = gates_of(x_BTD, weights);
    scan::Inputs inputs{.q_BTGK = q,
                        .k_BTGK = k,
                        .v_BTHV = v,
                        .log_alpha = gates.log_alpha,
                        .log_mu = gates.log_mu,
                        .mu_shares_alpha = gates.mu_shares_alpha,
                        .beta_BTH = gates.beta,
                        .eta_BTH = gates.eta,
                        .has_delta = needs_.has_delta,
                        .look_ahead = gates.look_ahead,
                        .cu_seqlens = documents.cu_seqlens};
    if (gates.erase_share.defined()) inputs.p_BTHK = erase_key(k, gates);
    return inputs;
  }

  Coefficients gates_of(const at::Tensor& x_BTD, const Weights& weights) const {
    Coefficients gates = rule_->coefficients(project_gates(x_BTD, weights));
    gates.has_delta = needs_.has_delta;
    return gates;
  }

  static at::Tensor low_rank(const at::Tensor& x_BTD, const Weights& weights, const std::string& name) {
    return ops::linear(ops::linear(x_BTD, weights[name + "_proj.0.weight"]),
                       weights[name + "_proj.1.weight"]);
  }

  // Before its activation.
  at::Tensor output_gate(const at::Tensor& x_BTD, const Weights& weights) const {
    if (!needs_.shell.low_rank_output_gate) return ops::linear(x_BTD, weights["g_proj.weight"]);
    return low_rank(x_BTD, weights, "g") + weights["g_proj.1.bias"].to(x_BTD.scalar_type());
  }

  GateInputs project_gates(const at::Tensor& x_BTD, const Weights& weights) const {
    GateInputs inputs{.needs = needs_, .heads = heads_, .weights = weights};
    for (const std::string& gate : needs_.channel_gates)
      inputs.of_channels.push_back(low_rank(x_BTD, weights, gate));
    if (needs_.gates.empty()) return inputs;
    std::vector<at::Tensor> rows;  // one product for all: their weights are a few rows each
    for (const std::string& gate : needs_.gates) rows.push_back(weights[gate + "_proj.weight"]);
    inputs.together = ops::linear(x_BTD, at::cat(rows, 0));
    return inputs;
  }

  LayerShape shape_;
  std::unique_ptr<CoefficientRule> rule_;
  LayerNeeds needs_;
  std::int64_t key_heads_, heads_;  // of q and k; of v, o and the gates
  std::int64_t key_width_, value_width_, taps_;
};

}  // namespace

std::unique_ptr<Rule> linear_mixer(const LayerShape& shape, std::unique_ptr<CoefficientRule> rule) {
  return std::make_unique<LinearMixer>(shape, std::move(rule));
}

}  // namespace mdnlab
