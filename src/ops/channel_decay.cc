#include "ops/fused.h"
#include "scan/with_backward.h"

namespace mdnlab::ops {

namespace {

FusedChannelDecay::Inputs inputs_of(const Tensors& list) { return {list[0], list[1], list[2]}; }

}  // namespace

at::Tensor channel_decay(const at::Tensor& x_BTC, const at::Tensor& rate_log_H, const at::Tensor& bias_C) {
  const std::int64_t heads = rate_log_H.size(0), width = x_BTC.size(-1) / heads;
  const Fused* module = fused(x_BTC.device());
  const Tensors given{x_BTC, rate_log_H, bias_C};
  if (module && module->channel_decay.takes(inputs_of(given))) {
    const auto by_head = [=](const at::Tensor& y_BTC) { return y_BTC.unflatten(-1, {heads, width}); };
    const at::Tensor y = by_head(with_backward(
        given,
        [&](Tensors& kept) {
          kept = given;
          return Tensors{module->channel_decay.forward(inputs_of(given))};
        },
        [module](const BackwardPass& pass) {
          const auto [dx, drate_log, dbias] =
              module->channel_decay.backward(inputs_of(pass.kept), pass.adjoints[0]);
          return Tensors{dx, drate_log, dbias};
        })[0]);
    if (remakes().results) {
      remake({y}, given, [=](const Tensors& from) {
        return Tensors{by_head(module->channel_decay.forward(inputs_of(from)))};
      });
    }
    return y;
  }
  const GateRule decay{.has_decay = true, .has_step = false};
  const at::Tensor rate_log_C = rate_log_H.unsqueeze(1).expand({heads, width}).reshape(-1);
  return gates(decay, x_BTC, {rate_log_C, bias_C})[kLogAlpha].unflatten(-1, {heads, width});
}

}  // namespace mdnlab::ops
