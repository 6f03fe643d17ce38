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

#include <algorithm>
#include <utility>

#include "ops/fused.h"
#include "ops/layer.h"
#include "scan/with_backward.h"

namespace mdnlab::ops {

namespace {

std::int64_t projections_of(const GateRule& rule) {
  return rule.uses(kA) + rule.uses(kB) + rule.uses(kM) + rule.uses(kE);
}

GateTensors by_gate(const GateRule& rule, const Tensors& given) {
  GateTensors all;
  std::size_t next = 0;
  for (int gate = 0; gate < kGates; ++gate) {
    if (rule.gives(static_cast<Gate>(gate))) all[static_cast<std::size_t>(gate)] = given[next++];
  }
  return all;
}

// x, then what is learned.
Tensors tensors(const at::Tensor& x_BTN, const GateParameters& learned) {
  Tensors list{x_BTN};
  list.insert(list.end(), learned.begin(), learned.end());
  return list;
}

GateParameters learned_of(const Tensors& list) {
  GateParameters learned;
  std::copy_n(list.begin() + 1, learned.size(), learned.begin());
  return learned;
}

GateTensors by_kernel(const FusedGates& kernel, const GateRule& rule, const at::Tensor& x_BTN,
                      const GateParameters& learned) {
  const Tensors given = tensors(x_BTN, learned);
  return by_gate(rule, with_backward(
                           given,
                           [&](Tensors& kept) {
                             kept = given;
                             Tensors made;  // without gaps, as autograd wants them
                             for (const at::Tensor& gate : kernel.forward(rule, x_BTN, learned)) {
                               if (gate.defined()) made.push_back(gate);
                             }
                             return made;
                           },
                           [&kernel, rule](const BackwardPass& pass) {
                             const auto [dx, dlearned] = kernel.backward(
                                 rule, pass.kept[0], learned_of(pass.kept), by_gate(rule, pass.adjoints));
                             return tensors(dx, dlearned);
                           }));
}

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
  const GateTensors made = by_kernel(module->gates, rule, x_BTN, learned);
  if (remakes().results) {
    remake({made.begin(), made.end()}, tensors(x_BTN, learned), [module, rule](const Tensors& from) {
      const GateTensors gates = module->gates.forward(rule, from[0], learned_of(from));
      return Tensors(gates.begin(), gates.end());
    });
  }
  return made;
}

}  // namespace mdnlab::ops
