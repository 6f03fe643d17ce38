// The GPU's threads that have the gates, on the CPU, against the same formula on tensors in float64: values,
// and the derivatives that their numbers carry with them against autograd's.
#include "ops/cuda/gates_run.cuh"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "ops/gates.h"
#include "run_on_cpu.h"

namespace mdnlab::ops {
namespace {

constexpr std::int64_t kBatch = 2, kTokens = 19, kHeads = 3;

void compare(const GateRule& rule) {
  std::int64_t used = 0;
  for (const GateProjection x : {kA, kB, kM, kE}) used += rule.uses(x);
  const std::int64_t width = used * kHeads;
  // Wide enough to reach every floor; with more columns than are read.
  const at::Tensor wide_x = at::randn({kBatch, kTokens, width + 5}) * 4,
                   dx = unwritten({kBatch, kTokens, width});
  const at::Tensor x = wide_x.narrow(-1, 0, width);
  GateParameters learned, dlearned;
  GateTensors found, dgates;

  cuda::Gates in{
      .rule = rule, .rows = kBatch * kTokens, .rows_of_run = 8, .heads = kHeads, .x_stride = width + 5};
  in.x = wide_x.const_data_ptr();
  in.dx = dx.mutable_data_ptr();
  std::int64_t given = 0;
  for (std::size_t i = 0; i < kGateParameters; ++i) {
    if (!rule.uses(static_cast<GateParameter>(i))) continue;
    learned[i] = at::randn({kHeads});
    in.w_H[i] = learned[i].const_data_ptr<float>();
    ++given;
  }
  for (std::size_t i = 0; i < kGates; ++i) {
    if (!rule.gives(static_cast<Gate>(i))) continue;
    found[i] = unwritten({kBatch, kTokens, kHeads});
    dgates[i] = at::randn({kBatch, kTokens, kHeads});
    in.gates_RH[i] = found[i].mutable_data_ptr<float>();
    in.dgates_RH[i] = dgates[i].const_data_ptr<float>();
  }
  const at::Tensor shares = unwritten({in.runs(), given, kHeads});
  in.dw_RPH = shares.mutable_data_ptr<float>();
  for (std::int64_t run = 0; run < in.runs(); ++run) {
    for (int head = 0; head < kHeads; ++head) {
      if (rule.discretised) {
        cuda::GatesRun<float, cuda::Cpu, false, true>(in, run, head).forward();
        cuda::GatesRun<float, cuda::Cpu, true, true>(in, run, head).backward();
      } else {
        cuda::GatesRun<float, cuda::Cpu, false, false>(in, run, head).forward();
        cuda::GatesRun<float, cuda::Cpu, true, false>(in, run, head).backward();
      }
    }
  }

  std::vector<at::Tensor> leaves{x.to(at::kDouble).requires_grad_(true)}, outputs, adjoints;
  GateParameters exact_learned;
  for (std::size_t i = 0; i < kGateParameters; ++i) {
    if (learned[i].defined())
      leaves.push_back(exact_learned[i] = learned[i].to(at::kDouble).requires_grad_(true));
  }
  const GateTensors exact = gates(rule, leaves[0], exact_learned);
  for (std::size_t i = 0; i < kGates; ++i) {
    ASSERT_EQ(exact[i].defined(), found[i].defined()) << "gate " << i;
    if (!exact[i].defined()) continue;
    expect_close("gate " + std::to_string(i), found[i], exact[i]);
    outputs.push_back(exact[i]);
    adjoints.push_back(dgates[i].to(at::kDouble));
  }
  const auto gradients = torch::autograd::grad(outputs, leaves, adjoints);
  expect_close("dx", dx, gradients[0]);
  for (std::size_t i = 1; i < leaves.size(); ++i)
    expect_close("learned " + std::to_string(i), shares.sum(0)[static_cast<std::int64_t>(i) - 1],
                 gradients[i]);
}

TEST(GatesRun, IsTheFormulaAndItsGradients) {
  compare({.discretised = true});
  compare({.has_decay = true, .has_step = false});
  for (const bool decay : {false, true}) {
    for (const bool delta : {false, true}) {
      SCOPED_TRACE(testing::Message() << "decay " << decay << ", delta " << delta);
      compare({.has_decay = decay, .has_delta = delta, .most_beta = 2});
      GateRule rule{.has_decay = decay, .has_momentum = true, .has_delta = delta, .tau = 3};
      compare(rule);
      rule.floors_log_mu = true;
      rule.min_log_mu = -2;
      rule.least_eta = 0.5;
      compare(rule);
      rule.constraint = GateConstraint::effective_step;
      compare(rule);
      rule.constraint = GateConstraint::paper;
      compare(rule);
      rule.constraint = GateConstraint::escrow;
      rule.theta = 0.95;
      compare(rule);
      rule.shares = delta;
      compare(rule);
    }
  }
}

}  // namespace
}  // namespace mdnlab::ops
