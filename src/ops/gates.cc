#include "ops/gates.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/log.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/square.h>
#include <ATen/ops/tanh.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "ops/fused.h"
#include "ops/layer.h"
#include "scan/remade.h"

namespace mdnlab::ops {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::int64_t projections_of(const GateRule& rule) {
  return rule.uses(kA) + rule.uses(kB) + rule.uses(kM) + rule.uses(kE);
}

// The gates that there are, without gaps, as autograd wants them.
class Whole : public torch::autograd::Function<Whole> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& x,
                               const std::optional<at::Tensor>& A_log,
                               const std::optional<at::Tensor>& dt_bias,
                               const std::optional<at::Tensor>& Mu_log,
                               const std::optional<at::Tensor>& mu_bias,
                               const std::optional<at::Tensor>& log_factor, const GateRule& rule) {
    const auto or_none = [](const std::optional<at::Tensor>& w) { return w.value_or(at::Tensor()); };
    const GateParameters learned{or_none(A_log), or_none(dt_bias), or_none(Mu_log), or_none(mu_bias),
                                 or_none(log_factor)};
    context->save_for_backward({x, learned[0], learned[1], learned[2], learned[3], learned[4]});
    context->saved_data["rule"] = std::string(reinterpret_cast<const char*>(&rule), sizeof rule);
    variable_list given;
    for (at::Tensor& gate : fused(x.device())->gates.forward(rule, x, learned)) {
      if (gate.defined()) given.push_back(std::move(gate));
    }
    return given;
  }

  static variable_list backward(AutogradContext* context, const variable_list& adjoints) {
    const variable_list saved = context->get_saved_variables();
    GateRule rule;
    context->saved_data["rule"].toStringRef().copy(reinterpret_cast<char*>(&rule), sizeof rule);
    const auto [dx, dlearned] =
        fused(saved[0].device())
            ->gates.backward(rule, saved[0], {saved[1], saved[2], saved[3], saved[4], saved[5]},
                             by_gate(rule, adjoints));
    return {dx, dlearned[0], dlearned[1], dlearned[2], dlearned[3], dlearned[4], {}};
  }

  static GateTensors by_gate(const GateRule& rule, const variable_list& given) {
    GateTensors all;
    std::size_t next = 0;
    for (int gate = 0; gate < kGates; ++gate) {
      if (rule.gives(static_cast<Gate>(gate))) all[static_cast<std::size_t>(gate)] = given[next++];
    }
    return all;
  }
};

GateTensors by_parts(const GateRule& rule, const at::Tensor& x_BTN, const GateParameters& learned,
                     const at::Tensor& kept) {
  const at::Tensor wide = x_BTN.to(statistics_dtype(x_BTN));
  const std::int64_t heads = x_BTN.size(-1) / projections_of(rule);
  std::array<at::Tensor, kProjections> x;
  std::int64_t at = 0;
  for (int i = 0; i < kProjections; ++i) {
    if (rule.uses(static_cast<GateProjection>(i)))
      x[static_cast<std::size_t>(i)] = wide.narrow(-1, heads * at++, heads);
  }
  GateTensors gates;
  gates_of(rule, x.data(), learned.data(), kept.defined() ? &kept : nullptr, gates.data());
  return gates;
}

}  // namespace

GateTensors gates(const GateRule& rule, const at::Tensor& x_BTN, const GateParameters& learned,
                  const at::Tensor& kept) {
  const Fused* module = fused(x_BTN.device());
  if (!module || kept.defined() || !module->gates.takes(x_BTN, learned))
    return by_parts(rule, x_BTN, learned, kept);
  const auto given = [&](GateParameter which) {
    return learned[which].defined() ? std::optional(learned[which]) : std::nullopt;
  };
  const GateTensors made =
      Whole::by_gate(rule, Whole::apply(x_BTN, given(kALog), given(kDtBias), given(kMuLog), given(kMuBias),
                                        given(kLogFactor), rule));
  if (remakes().results) {
    Tensors from(learned.begin(), learned.end());
    from.push_back(x_BTN);
    remake({made.begin(), made.end()}, from, [module, rule](const Tensors& from) {
      GateParameters learned;
      std::copy_n(from.begin(), learned.size(), learned.begin());
      const GateTensors gates = module->gates.forward(rule, from.back(), learned);
      return Tensors(gates.begin(), gates.end());
    });
  }
  return made;
}

}  // namespace mdnlab::ops
