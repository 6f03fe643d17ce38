// The hand-written backward as a node of the graph: against finite differences, and what it leaves out.
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/error.h"
#include "cases.h"
#include "scan/inputs.h"
#include "scan/remade.h"

namespace mdnlab::scan {

namespace {

constexpr Rule kMdn{.delta = true, .momentum = true};

double loss(const Inputs& inputs) {
  const c10::AutoGradMode no_grad(false);
  const Outputs out = chunk(inputs, {.chunk_size = 2, .want_state = true});
  double total = 0;
  std::uint64_t seed = 1000;  // the weighting of gradients()
  for (const at::Tensor* output : {&out.o_BTHV, &out.final_S_NHKV, &out.final_M_NHKV}) {
    ++seed;
    if (output->defined()) total += output->mul(normal(output->sizes(), seed)).sum().item<double>();
  }
  return total;
}

TEST(ScanGradients, EqualCentralDifferences) {
  for (const Rule& rule : kRules) {
    SCOPED_TRACE(name(rule));
    const Inputs inputs =
        make_inputs({.shape = {.B = 1, .T = 5, .H = 2, .G = 1, .K = 3, .V = 2}, .rule = rule});
    const auto found = gradients(inputs, chunk(inputs, {.chunk_size = 2, .want_state = true}));
    for (const Named& gradient : found) {
      at::Tensor expected = at::ones_like(gradient.tensor);
      for (const Named& input : named(inputs)) {
        if (input.name != gradient.name) continue;
        double* entry = input.tensor.mutable_data_ptr<double>();
        for (std::int64_t i = 0; i < input.tensor.numel(); ++i) {
          constexpr double kStep = 1e-5;
          const double kept = entry[i];
          entry[i] = kept + kStep;
          const double above = loss(inputs);
          entry[i] = kept - kStep;
          const double below = loss(inputs);
          entry[i] = kept;
          expected.mutable_data_ptr<double>()[i] = (above - below) / (2 * kStep);
        }
      }
      expect_close("gradient of " + gradient.name, gradient.tensor, expected, 1e-8);
    }
  }
}

TEST(ScanGradients, OfOneOutputAloneAreRight) {
  const Inputs inputs = make_inputs({.rule = kMdn});
  for (int output = 0; output < 3; ++output) {
    SCOPED_TRACE("output " + std::to_string(output));
    const auto only = [&](const Outputs& out) {
      return Outputs{output == 0 ? out.o_BTHV : at::Tensor(), output == 1 ? out.final_S_NHKV : at::Tensor(),
                     output == 2 ? out.final_M_NHKV : at::Tensor()};
    };
    const auto found = gradients(inputs, only(chunk(inputs, {.want_state = true})));
    const auto wanted = gradients(inputs, only(reference(inputs)));
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!wanted[i].tensor.defined()) {  // the loop has no path from q to a state
        EXPECT_EQ(found[i].name, "q");
        EXPECT_EQ(found[i].tensor.abs().max().item<double>(), 0);
        continue;
      }
      expect_close("gradient of " + found[i].name, found[i].tensor, wanted[i].tensor, 1e-12);
    }
  }
}

TEST(ScanGradients, ComeOneByOneAsTheyComeTogether) {
  for (const Rule& rule : kRules) {
    SCOPED_TRACE(name(rule));
    const Inputs inputs = make_inputs({.rule = rule});
    const auto together = gradients(inputs, chunk(inputs, {.want_state = true}));
    for (std::size_t i = 0; i < together.size(); ++i) {
      for (const Named& input : named(inputs)) input.tensor.set_requires_grad(input.name == together[i].name);
      const Outputs out = chunk(inputs, {.want_state = true});
      at::Tensor total = out.o_BTHV.mul(normal(out.o_BTHV.sizes(), 1001))
                             .sum()
                             .add(out.final_S_NHKV.mul(normal(out.final_S_NHKV.sizes(), 1002)).sum());
      if (rule.momentum)
        total = total.add(out.final_M_NHKV.mul(normal(out.final_M_NHKV.sizes(), 1003)).sum());
      const auto alone = torch::autograd::grad({total}, {named(inputs)[i].tensor});
      expect_equal("gradient of " + together[i].name, alone[0], together[i].tensor);
    }
  }
}

// The same numbers, which the backward pass makes again.
Inputs made_again(const Inputs& inputs) {
  Inputs made = inputs;
  for (at::Tensor* const one : tensors(made)) {
    if (!one->defined()) continue;
    const at::Tensor from = *one;
    *one = from * 1;
    remake({*one}, {from}, [](const Tensors& from) { return Tensors{from[0] * 1}; });
  }
  return made;
}

TEST(ScanGradients, AreTheSameBitsWhereTheInputsAreMadeAgain) {
  for (const Rule& rule : kRules) {
    SCOPED_TRACE(name(rule));
    const Inputs inputs = make_inputs({.rule = rule});
    const Remaking again({.results = true, .prepared = true});
    const auto found = gradients(inputs, chunk(made_again(inputs), {.want_state = true})),
               expected = gradients(inputs, chunk(inputs, {.want_state = true}));
    for (std::size_t i = 0; i < expected.size(); ++i)
      expect_equal("gradient of " + expected[i].name, found[i].tensor, expected[i].tensor);
  }
}

TEST(ScanGradients, AreNotPreparedWhereNobodyWantsThem) {
  Inputs inputs = make_inputs({.rule = kMdn});
  {
    const c10::AutoGradMode no_grad(false);
    EXPECT_FALSE(chunk(inputs).o_BTHV.requires_grad());
  }
  EXPECT_TRUE(chunk(inputs).o_BTHV.requires_grad());
  for (const Named& input : named(inputs)) input.tensor.set_requires_grad(false);
  EXPECT_FALSE(chunk(inputs).o_BTHV.requires_grad());
}

TEST(ScanGradients, StatesAreReturnedOnlyWhenWanted) {
  const Inputs inputs = make_inputs({.rule = kMdn});
  const Outputs without = chunk(inputs);
  EXPECT_FALSE(without.final_S_NHKV.defined());
  EXPECT_FALSE(without.final_M_NHKV.defined());
  EXPECT_FALSE(chunk(make_inputs({.rule = {.delta = true}}), {.want_state = true}).final_M_NHKV.defined());
}

TEST(ScanGradients, OfTheBackwardItselfAreRefused) {
  const Inputs inputs = make_inputs({.rule = kMdn});
  const at::Tensor total = chunk(inputs).o_BTHV.sum();
  try {
    torch::autograd::grad({total}, {inputs.q_BTGK}, {}, true, /*create_graph=*/true);
    FAIL() << "no error";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("the backward pass cannot itself be differentiated"));
  }
}

}  // namespace

}  // namespace mdnlab::scan
