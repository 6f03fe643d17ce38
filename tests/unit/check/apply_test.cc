// rules apply against loops in plain doubles: results, gradients by finite differences, and what is refused.
#include "check/apply.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "../error_of.h"
#include "token_loop.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Shape {
  std::int64_t B = 2, T = 37, H = 2, K = 5, V = 3;
};

// Every tensor that the rule uses, float64.
TensorMap tensors_of(const RuleRecurrence& recurrence, const Shape& shape, bool is_packed) {
  const auto [B, T, H, K, V] = shape;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(5);
  const auto normal = [&](at::IntArrayRef sizes) { return at::randn(sizes, generator, at::kDouble); };
  const auto uniform = [&](at::IntArrayRef sizes, double low, double high) {
    return at::rand(sizes, generator, at::kDouble) * (high - low) + low;
  };
  const std::int64_t documents = is_packed ? 4 : B;
  TensorMap tensors{{"q", normal({B, T, H, K})},
                    {"k", normal({B, T, H, K}) / std::sqrt(static_cast<double>(K))},
                    {"v", normal({B, T, H, V})},
                    {"beta", uniform({B, T, H}, 0.1, 0.6)},
                    {"initial_S", normal({documents, H, K, V})}};
  if (recurrence.decay == "scalar") tensors["log_alpha"] = uniform({B, T, H}, -0.5, 0);
  if (recurrence.decay == "channel") tensors["log_alpha"] = uniform({B, T, H, K}, -0.5, 0);
  if (recurrence.delta) tensors["p"] = normal({B, T, H, K}) / std::sqrt(static_cast<double>(K));
  if (recurrence.momentum) {
    tensors["log_mu"] = uniform({B, T, H}, -2, -0.2);
    tensors["eta"] = uniform({B, T, H}, 0.5, 1.5);
    tensors["initial_M"] = normal({documents, H, K, V});
  }
  // One document of no token.
  if (is_packed)
    tensors["cu_seqlens"] =
        at::tensor({0, 3, static_cast<int>(T), static_cast<int>(T), static_cast<int>(B * T)}, at::kInt);
  return tensors;
}

double worst(const at::Tensor& found, const std::vector<double>& expected) {
  const at::Tensor flat = found.to(at::kDouble).contiguous().flatten();
  EXPECT_EQ(flat.numel(), static_cast<std::int64_t>(expected.size()));
  double error = 0, largest = 1;
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    error = std::max(error, std::abs(flat[i].item<double>() - expected[static_cast<std::size_t>(i)]));
    largest = std::max(largest, std::abs(expected[static_cast<std::size_t>(i)]));
  }
  return error / largest;
}

void expect_same(const RuleRecurrence& recurrence, const TensorMap& results, const LoopResult& expected,
                 double tolerance) {
  EXPECT_LE(worst(results.at("o"), expected.o), tolerance);
  EXPECT_LE(worst(results.at("final_S"), expected.final_S), tolerance);
  ASSERT_EQ(results.count("final_M"), recurrence.momentum ? 1u : 0u);
  if (!recurrence.momentum) return;
  EXPECT_LE(worst(results.at("final_M"), expected.final_M), tolerance);
}

class Apply : public testing::TestWithParam<std::tuple<bool, bool, const char*>> {
 protected:
  const RuleRecurrence recurrence_{.rule = "rule",
                                   .delta = std::get<0>(GetParam()),
                                   .momentum = std::get<1>(GetParam()),
                                   .decay = std::get<2>(GetParam())};
};

TEST_P(Apply, EveryModeAndDtypeAgreesWithPlainLoops) {
  for (const bool is_packed : {false, true}) {
    SCOPED_TRACE(is_packed ? "packed" : "rows");
    TensorMap tensors = tensors_of(recurrence_, {}, is_packed);
    for (const bool has_p : {true, false}) {
      if (!has_p) tensors.erase("p");
      const LoopResult expected = token_loop(recurrence_, tensors);
      for (const ScanMode mode : {ScanMode::reference, ScanMode::chunk, ScanMode::step}) {
        SCOPED_TRACE("mode " + std::to_string(static_cast<int>(mode)));
        const TensorMap wide = apply(recurrence_, tensors, {.mode = mode});
        EXPECT_EQ(wide.at("o").scalar_type(), at::kDouble);
        expect_same(recurrence_, wide, expected, 1e-13);
        expect_same(recurrence_, apply(recurrence_, tensors, {.mode = mode, .dtype = at::kFloat}), expected,
                    1e-5);
        for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
          const TensorMap narrow = apply(recurrence_, tensors, {.mode = mode, .dtype = dtype});
          EXPECT_EQ(narrow.at("o").scalar_type(), mode == ScanMode::reference ? at::kDouble : dtype);
          EXPECT_EQ(narrow.at("final_S").scalar_type(),
                    mode == ScanMode::reference ? at::kDouble : at::kFloat);
          expect_same(recurrence_, narrow, expected, dtype == at::kHalf ? 0.01 : 0.05);
        }
      }
    }
  }
}

// ⟨do, o⟩ + ⟨d_final_S, final_S⟩ + ⟨d_final_M, final_M⟩
double loss(const RuleRecurrence& recurrence, const TensorMap& tensors) {
  const LoopResult result = token_loop(recurrence, tensors);
  double sum = 0;
  const std::pair<const char*, const std::vector<double>&> pairs[] = {
      {"do", result.o}, {"d_final_S", result.final_S}, {"d_final_M", result.final_M}};
  for (const auto& [name, values] : pairs) {
    if (!tensors.count(name)) continue;
    const at::Tensor flat = tensors.at(name).contiguous().flatten();
    for (std::int64_t i = 0; i < flat.numel(); ++i)
      sum += flat[i].item<double>() * values[static_cast<std::size_t>(i)];
  }
  return sum;
}

TEST_P(Apply, GradientsAreTheFiniteDifferencesOfPlainLoops) {
  const Shape small{.B = 1, .T = 6, .H = 1, .K = 3, .V = 2};
  for (const bool has_p : {true, false}) {
    TensorMap tensors = tensors_of(recurrence_, small, false);
    if (!has_p && tensors.erase("p") == 0) continue;
    auto generator = at::make_generator<at::CPUGeneratorImpl>(6);
    tensors["do"] = at::randn({1, 6, 1, 2}, generator, at::kDouble);
    tensors["d_final_S"] = at::randn({1, 1, 3, 2}, generator, at::kDouble);
    if (recurrence_.momentum) tensors["d_final_M"] = at::randn({1, 1, 3, 2}, generator, at::kDouble);
    const TensorMap reference = apply(recurrence_, tensors, {.mode = ScanMode::reference});
    const TensorMap chunk = apply(recurrence_, tensors, {.mode = ScanMode::chunk});
    for (const auto& [name, tensor] : tensors) {
      if (name.starts_with("d")) continue;
      SCOPED_TRACE(name);
      std::vector<double> differences;
      for (std::int64_t i = 0; i < tensor.numel(); ++i) {
        constexpr double step = 1e-5;
        TensorMap moved = tensors;
        const auto loss_at = [&](double shift) {
          moved[name] = tensor.clone();
          moved[name].view(-1)[i] += shift;
          return loss(recurrence_, moved);
        };
        differences.push_back((loss_at(step) - loss_at(-step)) / (2 * step));
      }
      ASSERT_TRUE(reference.count("d" + name));
      EXPECT_LE(worst(reference.at("d" + name), differences), 1e-8);
      EXPECT_LE(worst(chunk.at("d" + name), differences), 1e-8);
    }
    EXPECT_EQ(reference.count("dp"), recurrence_.delta && has_p ? 1u : 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, Apply,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Values("none", "scalar", "channel")),
                         [](const auto& cell) {
                           return std::string(std::get<0>(cell.param) ? "Delta" : "") +
                                  (std::get<1>(cell.param) ? "Momentum" : "") + std::get<2>(cell.param);
                         });

const RuleRecurrence mdn{.rule = "mdn", .delta = true, .momentum = true, .decay = "scalar"};
const RuleRecurrence kda_momentum{
    .rule = "kda_momentum", .delta = true, .momentum = true, .decay = "channel"};
const RuleRecurrence deltanet{.rule = "deltanet", .delta = true, .momentum = false, .decay = "none"};

TEST(ApplyOptions, MomentumByChannel) {
  TensorMap tensors = tensors_of(kda_momentum, {}, false);
  tensors["log_mu"] = tensors["log_alpha"] + tensors["log_mu"].unsqueeze(-1);
  for (const ScanMode mode : {ScanMode::reference, ScanMode::chunk, ScanMode::step})
    expect_same(kda_momentum, apply(kda_momentum, tensors, {.mode = mode}), token_loop(kda_momentum, tensors),
                1e-13);
}

TEST(ApplyOptions, TheOutputLooksAhead) {
  for (RuleRecurrence recurrence : {mdn, kda_momentum}) {
    recurrence.look_ahead = 0.7;
    const TensorMap tensors = tensors_of(recurrence, {}, false);
    for (const ScanMode mode : {ScanMode::reference, ScanMode::chunk, ScanMode::step})
      expect_same(recurrence, apply(recurrence, tensors, {.mode = mode}), token_loop(recurrence, tensors),
                  1e-13);
  }
}

TEST(ApplyOptions, AbsentTensorsAreNeutral) {
  TensorMap absent = tensors_of(mdn, {}, false);
  for (const char* name : {"log_alpha", "log_mu", "eta", "initial_S", "initial_M"}) absent.erase(name);
  TensorMap neutral = absent;
  neutral["log_alpha"] = at::zeros({2, 37, 2}, at::kDouble);
  neutral["log_mu"] = at::full({2, 37, 2}, -infinity, at::kDouble);
  neutral["eta"] = at::full({2, 37, 2}, 1., at::kDouble);
  for (const ScanMode mode : {ScanMode::reference, ScanMode::chunk, ScanMode::step}) {
    expect_same(mdn, apply(mdn, absent, {.mode = mode}), token_loop(mdn, absent), 1e-13);
    expect_same(mdn, apply(mdn, neutral, {.mode = mode}), token_loop(mdn, absent), 1e-13);
  }
  // So a rule without use for them takes them, too.
  neutral["initial_M"] = at::zeros({2, 2, 5, 3}, at::kDouble);
  neutral["do"] = absent["do"] = at::full({2, 37, 2, 3}, 1., at::kDouble);
  const TensorMap results = apply(deltanet, neutral, {});
  EXPECT_EQ(results.count("dlog_mu") + results.count("deta") + results.count("dinitial_M"), 0u);
  EXPECT_EQ(results.count("final_M"), 0u);
  EXPECT_EQ(results.count("dbeta"), 1u);
}

TEST(ApplyOptions, NormalizeAndScaleComeBeforeTheScanAndInTheGradient) {
  TensorMap tensors = tensors_of(mdn, {}, false);
  tensors.erase("p");
  const auto unit = [](const at::Tensor& x) { return x / (x.square().sum(-1, true) + 1e-6).sqrt(); };
  TensorMap prepared = tensors;
  prepared["k"] = unit(tensors["k"]);
  prepared["q"] = unit(tensors["q"]) / std::sqrt(5.);
  expect_same(mdn, apply(mdn, tensors, {.normalize = true, .scale = true}), token_loop(mdn, prepared), 1e-13);

  tensors["do"] = at::full({2, 37, 2, 3}, 1., at::kDouble);
  const TensorMap results = apply(mdn, tensors, {.normalize = true, .scale = true});
  // A unit vector does not change with the length of what it was made from.
  EXPECT_LT((results.at("dq") * tensors["q"]).sum(-1).abs().max().item<double>(), 1e-5);
  EXPECT_GT(results.at("dq").abs().max().item<double>(), 0.01);
}

TEST(ApplyOptions, KeyHeadsAreShared) {
  TensorMap tensors = tensors_of(deltanet, {}, false);
  tensors.erase("p");
  TensorMap shared = tensors;
  for (const char* name : {"q", "k"}) {
    shared[name] = tensors[name].slice(2, 0, 1);
    tensors[name] = shared[name].expand({2, 37, 2, 5}).contiguous();
  }
  for (const ScanMode mode : {ScanMode::reference, ScanMode::chunk, ScanMode::step})
    expect_same(deltanet, apply(deltanet, shared, {.mode = mode}), token_loop(deltanet, tensors), 1e-13);
}

std::string refused(const RuleRecurrence& recurrence, TensorMap tensors, const std::string& name,
                    const at::Tensor& tensor, const ApplyOptions& options = {}) {
  tensors.erase(name);
  if (tensor.defined()) tensors[name] = tensor;
  const Error error = error_of([&] { apply(recurrence, tensors, options); });
  EXPECT_EQ(error.code(), Code::usage) << error.what();
  return error.what();
}

TEST(ApplyRefuses, TensorsThatDoNotFitByName) {
  const TensorMap good = tensors_of(mdn, {}, false);
  for (const char* name : {"q", "k", "v"}) {
    EXPECT_THAT(refused(mdn, good, name, {}), HasSubstr("tensor '" + std::string(name) + "' is missing"));
    EXPECT_THAT(refused(mdn, good, name, good.at("beta")),
                HasSubstr(name + std::string(" has the wrong shape")));
  }
  EXPECT_THAT(refused(mdn, good, "log_alfa", good.at("log_alpha")),
              HasSubstr("tensor 'log_alfa' is none that a rule takes; did you mean 'log_alpha'?"));
  EXPECT_THAT(refused(mdn, good, "q", at::zeros({2, 37, 2, 5}, at::kLong)),
              HasSubstr("tensor 'q' has the wrong dtype; found I64"));
  EXPECT_THAT(refused(mdn, good, "cu_seqlens", at::tensor({0., 37., 74.})),
              HasSubstr("tensor 'cu_seqlens' has the wrong dtype; found F64, expected I32"));
  EXPECT_THAT(refused(mdn, good, "cu_seqlens", at::tensor({0, 37}, at::kInt)), HasSubstr("cu_seqlens"));
  EXPECT_THAT(refused(mdn, good, "beta", at::zeros({2, 37, 3})), HasSubstr("beta has the wrong shape"));
  EXPECT_THAT(refused(mdn, good, "eta", at::zeros({})), HasSubstr("eta has the wrong shape"));
  EXPECT_THAT(refused(mdn, good, "do", at::zeros({2, 37, 2, 5})),
              HasSubstr("tensor 'do' has the wrong shape; found [2,37,2,5], expected [2,37,2,3]"));
  EXPECT_THAT(refused(mdn, good, "d_final_S", good.at("initial_S")),
              HasSubstr("'d_final_S' is given without 'do'"));
  EXPECT_THAT(
      refused(mdn, good, "log_alpha", at::zeros({2, 37, 2, 5})),
      HasSubstr(
          "tensor 'log_alpha' has the wrong shape; found [2,37,2,5], expected [B,T,H]; the decay of mdn "
          "is scalar"));
  EXPECT_THAT(refused(kda_momentum, tensors_of(kda_momentum, {}, false), "log_alpha", at::zeros({2, 37, 2})),
              HasSubstr("expected [B,T,H,K]; the decay of kda_momentum is channel"));
}

TEST(ApplyRefuses, NumbersThatAreNone) {
  const TensorMap good = tensors_of(mdn, {}, false);
  for (const char* name : {"q", "v", "log_alpha", "log_mu", "eta", "initial_M"}) {
    at::Tensor bad = good.at(name).clone();
    bad.select(0, 1).select(0, 1).select(0, 1).fill_(std::nan(""));
    EXPECT_THAT(refused(mdn, good, name, bad),
                HasSubstr("tensor '" + std::string(name) + "' holds what is no number; found nan at [1,1,1"));
  }
  at::Tensor endless = good.at("log_mu").clone();
  endless[0][36][1] = infinity;
  EXPECT_THAT(refused(mdn, good, "log_mu", endless),
              HasSubstr("found inf at [0,36,1], expected finite numbers, or -inf"));
}

// α where log α belongs is the likely slip.
TEST(ApplyRefuses, GatesThatAreNoLogarithms) {
  const TensorMap good = tensors_of(mdn, {}, false);
  for (const char* name : {"log_alpha", "log_mu"}) {
    at::Tensor gate = good.at(name).clone();
    gate[1][3][0] = 0.5;
    const std::string word = name + 4;
    EXPECT_THAT(refused(mdn, good, name, gate), HasSubstr("tensor '" + std::string(name) +
                                                          "' is above 0; found 0.5 at [1,3,0], expected "
                                                          "logarithms of gates, at most 0; it takes log(" +
                                                          word + "), not " + word));
  }
}

TEST(ApplyRefuses, WhatTheRuleHasNoUseFor) {
  const TensorMap given = tensors_of(mdn, {}, false);
  TensorMap good = tensors_of(deltanet, {}, false);
  good.erase("p");
  const std::pair<const char*, const char*> unused[] = {
      {"log_alpha", "decay"}, {"log_mu", "momentum"}, {"eta", "momentum"}, {"initial_M", "momentum"}};
  for (const auto& [name, missing] : unused) {
    EXPECT_THAT(
        refused(deltanet, good, name, given.at(name)),
        HasSubstr("tensor '" + std::string(name) + "' is not used by deltanet, which has no " + missing));
  }
  const RuleRecurrence plain{.rule = "scalar_ssd", .delta = false, .momentum = false, .decay = "scalar"};
  EXPECT_THAT(refused(plain, good, "p", given.at("p")),
              HasSubstr("'p' is not used by scalar_ssd, which has no delta"));
}

TEST(ApplyRefuses, KernelsThatAreNotThere) {
  const TensorMap good = tensors_of(mdn, {}, false);
  EXPECT_THAT(refused(mdn, good, "q", good.at("q"), {.kernel = "cup"}),
              HasSubstr("no kernel of cpu has this name; found 'cup'; did you mean 'cpu'?"));
  EXPECT_THAT(refused(mdn, good, "q", good.at("q"), {.mode = ScanMode::reference, .kernel = "cpu"}),
              HasSubstr("mode reference has one form and no kernels; found --kernel cpu"));
}

TEST(ApplyRefuses, GradientsOfDecoding) {
  const TensorMap good = tensors_of(mdn, {}, false);
  EXPECT_THAT(refused(mdn, good, "do", good.at("v"), {.mode = ScanMode::step}),
              HasSubstr("mode step decodes and computes no gradients; found tensor 'do'"));
}

}  // namespace
}  // namespace mdnlab
