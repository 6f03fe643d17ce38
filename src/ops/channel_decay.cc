#include <torch/csrc/autograd/custom_function.h>

#include "ops/fused.h"
#include "scan/remade.h"

namespace mdnlab::ops {

namespace {

class Whole : public torch::autograd::Function<Whole> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& rate_log, const at::Tensor& bias) {
    context->save_for_backward({x, rate_log, bias});
    return fused(x.device())->channel_decay.forward({x, rate_log, bias});
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& adjoints) {
    const auto saved = context->get_saved_variables();
    const auto [dx, drate_log, dbias] =
        fused(saved[0].device())->channel_decay.backward({saved[0], saved[1], saved[2]}, adjoints[0]);
    return {dx, drate_log, dbias};
  }
};

}  // namespace

at::Tensor channel_decay(const at::Tensor& x_BTC, const at::Tensor& rate_log_H, const at::Tensor& bias_C) {
  const std::int64_t heads = rate_log_H.size(0), width = x_BTC.size(-1) / heads;
  const Fused* module = fused(x_BTC.device());
  if (module && module->channel_decay.takes({x_BTC, rate_log_H, bias_C})) {
    const auto by_head = [=](const at::Tensor& y_BTC) { return y_BTC.unflatten(-1, {heads, width}); };
    const at::Tensor y = by_head(Whole::apply(x_BTC, rate_log_H, bias_C));
    if (remakes().results) {
      remake({y}, {x_BTC, rate_log_H, bias_C}, [=](const Tensors& from) {
        return Tensors{by_head(module->channel_decay.forward({from[0], from[1], from[2]}))};
      });
    }
    return y;
  }
  const GateRule decay{.has_decay = true, .has_step = false};
  const at::Tensor rate_log_C = rate_log_H.unsqueeze(1).expand({heads, width}).reshape(-1);
  return gates(decay, x_BTC, {rate_log_C, bias_C})[kLogAlpha].unflatten(-1, {heads, width});
}

}  // namespace mdnlab::ops
