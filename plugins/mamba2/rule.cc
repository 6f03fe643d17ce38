// Mamba2 as published: one input projection to (z, x, B, C, Δt), convolution over (x, B, C), the scalar scan
// S_t = exp(Δt·A) S_{t−1} + Δt B xᵀ, y = Sᵀ C + D x, and a gated norm over all of d_inner. README.md derives
// it. E = d_inner = expand · hidden, P head width, H = E/P heads, N state width, G groups of B and C.
#include <ATen/TensorOperators.h>

#include <array>
#include <cmath>
#include <numeric>

#include "ops/gates.h"
#include "ops/layer.h"
#include "ops/parts.h"
#include "rule/abi.h"
#include "rule/influence.h"
#include "scan/chunk.h"
#include "scan/remade.h"

namespace {

using namespace mdnlab;

constexpr std::array fields{
    Field{.name = "expand", .type = Type::real, .preset = "2", .doc = "d_inner / hidden_size", .least = 0.01},
    Field{
        .name = "head_width", .type = Type::integer, .preset = "64", .doc = "channels of a head", .least = 1},
    Field{
        .name = "state_size", .type = Type::integer, .preset = "128", .doc = "width of B and C", .least = 1},
    Field{.name = "n_groups",
          .type = Type::integer,
          .preset = "1",
          .doc = "heads share B and C by group",
          .least = 1},
    Field{.name = "gated_norm_eps",
          .type = Type::real,
          .preset = "1e-5",
          .doc = "eps of the gated norm",
          .least = 0},
    Field{.name = "norm_groups",
          .type = Type::integer,
          .preset = "1",
          .doc = "groups of channels that the gated norm treats apart",
          .least = 1},
    Field{.name = "norm_before_gate",
          .type = Type::boolean,
          .preset = "false",
          .doc = "RMSNorm(y)·silu(z) instead of RMSNorm(y·silu(z))"}};

class Mamba2 final : public Rule {
 public:
  Mamba2(const Params& params, const LayerShape& shape)
      : hidden_(shape.hidden_size),
        inner_(static_cast<std::int64_t>(params.real("expand") * static_cast<double>(shape.hidden_size))),
        width_(params.integer("head_width")),
        heads_(inner_ / width_),
        state_(params.integer("state_size")),
        groups_(params.integer("n_groups")),
        channels_(inner_ + 2 * groups_ * state_),
        taps_(shape.conv_size),
        layers_(shape.num_hidden_layers),
        norm_groups_(params.integer("norm_groups")),
        eps_(params.real("gated_norm_eps")),
        norms_first_(params.boolean("norm_before_gate")) {
    if (heads_ * width_ != inner_ || heads_ < 1) {
      throw params.error("head_width", "expand · hidden_size / head_width is no whole number of heads",
                         "a divisor of " + std::to_string(inner_));
    }
    if (heads_ % groups_ != 0) {
      throw params.error("n_groups", "n_groups does not divide the heads",
                         "a divisor of " + std::to_string(heads_));
    }
    if (inner_ % norm_groups_ != 0) {
      throw params.error("norm_groups", "norm_groups does not divide expand · hidden_size",
                         "a divisor of " + std::to_string(inner_));
    }
    if (taps_ < 1)
      throw params.error("expand", "its short convolution needs a model.conv_size of at least 1");
  }

  std::vector<ParameterSpec> parameters() const override {
    using Kind = Initial::Kind;
    const Initial normal{};
    // kaiming_uniform(a = √5) is U(±1/√fan_in); the residual branch is scaled by 1/√layers.
    const double bound = 1 / std::sqrt(static_cast<double>(inner_ * layers_));
    return {{"in_proj.weight", {inner_ + channels_ + heads_, hidden_}, normal},
            {"conv1d.weight", {channels_, 1, taps_}, normal},
            {"conv1d.bias", {channels_}, {.kind = Kind::constant, .a = 0}, false},
            {"dt_bias", {heads_}, {.kind = Kind::inverse_softplus, .a = 1e-3, .b = 0.1}, false},
            {"A_log", {heads_}, {.kind = Kind::log_count}, false},
            {"D", {heads_}, {.kind = Kind::constant, .a = 1}, false},
            {"norm.weight", {inner_}, {.kind = Kind::constant, .a = 1}, false},
            {"out_proj.weight", {hidden_, inner_}, {.kind = Kind::uniform, .a = -bound, .b = bound}}};
  }

  std::vector<StateSpec> state(std::int64_t, at::ScalarType dtype) const override {
    std::vector<StateSpec> list{
        {"S", {heads_, state_, width_}, dtype == at::kDouble ? at::kDouble : at::kFloat}};
    if (taps_ > 1) list.push_back({"convolution", {taps_ - 1, channels_}, dtype});
    return list;
  }

  double mixing_flops(std::int64_t) const override {
    return 4.0 * static_cast<double>(heads_ * state_ * width_);  // the write Δt B xᵀ, and SᵀC
  }

  at::Tensor forward(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                     LayerState* state) const override {
    const std::int64_t batch = x_BTD.size(0), tokens = x_BTD.size(1);
    const bool resumes = state && !state->tensors.empty();
    const std::int64_t of_group = inner_ / norm_groups_;
    at::Tensor carried = resumes && taps_ > 1 ? state->tensors[1] : at::Tensor();
    auto [z, skipping, inputs] = projected(x_BTD, weights, documents, state ? &carried : nullptr);
    if (resumes) inputs.initial_S_NHKV = state->tensors[0];
    const scan::Outputs outputs =
        resumes && tokens == 1 ? scan::step(inputs) : scan::chunk(inputs, {.want_state = state != nullptr});
    if (state) {
      state->tensors = {outputs.final_S_NHKV};
      if (taps_ > 1) state->tensors.push_back(carried);
      state->position += tokens;
    }

    const std::int64_t shared = std::gcd(of_group, width_);
    const at::Tensor D = weights["D"].unsqueeze(-1).expand({heads_, width_ / shared});
    const at::Tensor y =
        ops::gated_rms_norm(remade_reshape(outputs.o_BTHV, {batch, tokens, norm_groups_, of_group}), z,
                            norms_first_ ? ops::NormGate::silu : ops::NormGate::silu_first,
                            weights["norm.weight"].view({norm_groups_, of_group}), eps_,
                            {.x = skipping, .D = D.reshape({norm_groups_, of_group / shared})});
    return ops::linear(remade_reshape(y, {batch, tokens, inner_}), weights["out_proj.weight"]);
  }

  // Of y, skip and all: D x_t is what y_t holds of x_t past the memory.
  std::optional<at::Tensor> influence(const at::Tensor& x_BTD, const Weights& weights, std::int64_t first,
                                      std::int64_t count) const override {
    at::Tensor c_BTHi = scan_influence(projected(x_BTD, weights, {}, nullptr).inputs, first, count);
    c_BTHi.narrow(1, first, count).diagonal(0, 1, 3).add_(weights["D"].detach().unsqueeze(-1));
    return c_BTHi;
  }

 private:
  struct Projected {
    at::Tensor z, skipping;  // (B,T,groups of the norm, E/groups): the gate, and x once more
    scan::Inputs inputs;     // from nothing; v is x
  };

  // `carried`: what the convolution goes on from, and leaves there.
  Projected projected(const at::Tensor& x_BTD, const Weights& weights, const ops::Documents& documents,
                      at::Tensor* carried) const {
    const std::int64_t of_group = inner_ / norm_groups_;
    const auto parts = ops::parts(ops::linear(x_BTD, weights["in_proj.weight"]),
                                  {{norm_groups_, of_group}, {channels_}, {heads_}});
    const auto streams =
        ops::short_convolution(parts[1], weights["conv1d.weight"], weights["conv1d.bias"], documents, carried,
                               {{0, {heads_, width_}},
                                {0, {norm_groups_, of_group}},
                                {inner_, {groups_, state_}},
                                {inner_ + groups_ * state_, {groups_, state_}}});
    const ops::GateTensors gates =
        ops::gates({.discretised = true}, parts[2], {weights["A_log"], weights["dt_bias"]});
    return {parts[0],
            streams[1],
            {.q_BTGK = streams[3],
             .k_BTGK = streams[2],
             .v_BTHV = streams[0],
             .log_alpha = gates[ops::kLogAlpha],
             .beta_BTH = gates[ops::kBeta],
             .cu_seqlens = documents.cu_seqlens}};
  }

  std::int64_t hidden_, inner_, width_, heads_, state_, groups_, channels_, taps_, layers_, norm_groups_;
  double eps_;
  bool norms_first_;
};

std::unique_ptr<Rule> create(const Params& params, const LayerShape& shape) {
  return std::make_unique<Mamba2>(params, shape);
}

}  // namespace

MDNLAB_PLUGIN(create, fields, .name = "mamba2", .rule_version = 1, .summary = "Mamba2 in its published layer",
              .capabilities = {.decay = "scalar"});
