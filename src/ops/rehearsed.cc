#include "ops/rehearsed.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "ops/cuda/problem.h"
#include "ops/parts.h"
#include "scan/rehearsal.h"

namespace mdnlab::ops {

namespace {

using namespace cuda;

bool is_taken(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kFloat;
}

at::Tensor wide(const at::Tensor& like, at::IntArrayRef sizes) {
  return at::empty(sizes, like.options().dtype(at::kFloat));
}

at::Tensor dense(const at::Tensor& like) { return at::empty(like.sizes(), like.options()); }

at::Tensor dense_or_none(const at::Tensor& like) { return like.defined() ? dense(like) : at::Tensor(); }

// The sums of runs of tokens: taps, and one number more a channel.
at::Tensor shares(const at::Tensor& x_BTC) {
  const std::int64_t runs = x_BTC.size(0) * ((x_BTC.size(1) + kTokens - 1) / kTokens);
  return wide(x_BTC, {(kTaps + 1) * runs, x_BTC.size(2)});
}

bool takes_convolution(const at::Tensor& x, const at::Tensor& weight) {
  return is_taken(x) && weight.size(0) <= kTaps && x.size(2) % kChannels == 0;
}

constexpr FusedConvolution convolution{
    .takes = takes_convolution,
    .forward = [](const at::Tensor& x, const at::Tensor&, const at::Tensor&,
                  const at::Tensor&) { return dense(x); },
    .backward =
        [](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor&,
           const std::vector<FusedConvolution::Adjoint>&) {
          const at::Tensor sums = shares(x);
          return FusedConvolution::Gradients{room_for_gradient(x), dense(weight), dense_or_none(bias)};
        }};

constexpr FusedQueryKey query_key{
    .takes =
        [](const FusedQueryKey::Inputs& in) {
          const std::int64_t width = in.q_BTC.size(2) / in.heads;
          return takes_convolution(in.q_BTC, in.q_weight_WC) && (width == 64 || width == 128 || width == 256);
        },
    .forward =
        [](const FusedQueryKey::Inputs& in) {
          return FusedQueryKey::Outputs{dense(in.q_BTC), dense(in.k_BTC)};
        },
    .backward =
        [](const FusedQueryKey::Inputs& in, const FusedQueryKey::Outputs&) {
          const at::Tensor of_q = shares(in.q_BTC), of_k = shares(in.k_BTC);
          return FusedQueryKey::Gradients{dense(in.q_BTC), dense(in.k_BTC), dense(in.q_weight_WC),
                                          dense(in.k_weight_WC), dense_or_none(in.correction_G)};
        }};

std::int64_t heads_of(const GateRule& rule, const at::Tensor& x_BTN) {
  std::int64_t used = 0;
  for (int i = 0; i < kProjections; ++i) used += rule.uses(static_cast<GateProjection>(i));
  return x_BTN.size(2) / used;
}

constexpr FusedGates gates{
    .takes = [](const at::Tensor& x, const GateParameters&) { return is_taken(x); },
    .forward =
        [](const GateRule& rule, const at::Tensor& x, const GateParameters&) {
          GateTensors made;
          for (std::size_t i = 0; i < kGates; ++i) {
            if (rule.gives(static_cast<Gate>(i)))
              made[i] = wide(x, {x.size(0), x.size(1), heads_of(rule, x)});
          }
          return made;
        },
    .backward =
        [](const GateRule&, const at::Tensor& x, const GateParameters& learned, const GateTensors&) {
          FusedGates::Gradients made{dense(x), {}};
          std::ranges::transform(learned, made.dlearned.begin(), dense_or_none);
          return made;
        }};

constexpr FusedChannelDecay channel_decay{
    .takes =
        [](const FusedChannelDecay::Inputs& in) {
          return is_taken(in.x_BTC) && in.x_BTC.size(-1) / in.rate_log_H.numel() % kChannels == 0;
        },
    .forward = [](const FusedChannelDecay::Inputs& in) { return wide(in.x_BTC, in.x_BTC.sizes()); },
    .backward =
        [](const FusedChannelDecay::Inputs& in, const at::Tensor&) {
          return FusedChannelDecay::Gradients{dense(in.x_BTC), dense(in.rate_log_H), dense(in.bias_C)};
        }};

constexpr FusedNorm norm{
    .takes =
        [](const FusedNorm::Inputs& in) {
          return is_taken(in.x) && in.x.size(-1) % kChannels == 0 && in.x.size(-1) <= kMostNorm &&
                 in.weight.numel() == in.x.size(-1) &&
                 (!in.scale.defined() || in.kind == NormGate::silu_first) &&
                 (in.dtype == in.x.scalar_type() || in.dtype == at::kBFloat16);
        },
    .forward =
        [](const FusedNorm::Inputs& in) {
          return FusedNorm::Outputs{at::empty(in.x.sizes(), in.x.options().dtype(in.dtype)),
                                    in.add.defined() && !in.scale.defined() ? dense(in.x) : at::Tensor()};
        },
    .backward =
        [](const FusedNorm::Inputs& in, const FusedNorm::Outputs& adjoints, bool wants_dadd) {
          const bool dadd_is_dx = !in.scale.defined() && in.dtype == in.x.scalar_type();
          const at::Tensor dx = dense(in.x), dadd = dadd_is_dx ? dx : dense(adjoints.y);
          return FusedNorm::Gradients{dx, wants_dadd ? dadd : at::Tensor(), dense_or_none(in.scale),
                                      in.gate.defined() ? room_for_gradient(in.gate) : in.gate,
                                      dense(in.weight)};
        }};

constexpr FusedSwiglu swiglu{
    .takes = [](const at::Tensor& gate, const at::Tensor&) { return is_taken(gate); },
    .forward = [](const at::Tensor& gate, const at::Tensor&) { return dense(gate); },
    .backward =
        [](const at::Tensor& gate, const at::Tensor& up, const at::Tensor&) {
          return FusedSwiglu::Gradients{dense(gate), dense(up)};
        }};

constexpr FusedRotary rotary{
    .takes = [](const at::Tensor& x) { return is_taken(x) && x.size(-1) % (2 * kChannels) == 0; },
    .turn = [](const at::Tensor& x, const at::Tensor&, double, bool) { return dense(x); }};

constexpr FusedCrossEntropy cross_entropy{.takes = is_taken,
                                          .losses = [](const at::Tensor& logits, const at::Tensor&, bool) {
                                            return wide(logits, {logits.size(0)});
                                          }};

constexpr FusedScaling scaling{.takes = [](const at::Tensor& x, const at::Tensor&) { return is_taken(x); },
                               .multiply = [](const at::Tensor&, const at::Tensor&) {}};

constexpr Fused kRehearsed{.convolution = convolution,
                           .query_key = query_key,
                           .gates = gates,
                           .channel_decay = channel_decay,
                           .norm = norm,
                           .swiglu = swiglu,
                           .rotary = rotary,
                           .cross_entropy = cross_entropy,
                           .scaling = scaling,
                           .record = nullptr};

}  // namespace

const Fused* rehearsed() { return is_rehearsed_as(at::kCUDA) ? &kRehearsed : nullptr; }

}  // namespace mdnlab::ops
