// What must hold exactly or nearly so, whatever the numbers: causality, splitting, forgetting, layout,
// threads.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <limits>

#include "cases.h"
#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

constexpr Rule kMdn{.delta = true, .momentum = true};
constexpr Rule kChannelMdn{.delta = true, .momentum = true, .channel_decay = true, .channel_mu = true};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Inputs tokens(const Inputs& inputs, std::int64_t begin, std::int64_t end) {
  Inputs part = inputs;
  for (at::Tensor* tensor : tensors(part)) {
    if (!tensor->defined() || tensor == &part.initial_S_NHKV || tensor == &part.initial_M_NHKV) continue;
    *tensor = tensor->slice(1, begin, end);
  }
  return part;
}

TEST(Scan, OfNoTokensReturnsTheStateItWasGiven) {
  const Inputs inputs = make_inputs({.shape = {.T = 0}, .rule = kMdn});
  const Outputs out = chunk(inputs, {.want_state = true});
  EXPECT_EQ(out.o_BTHV.sizes(), inputs.v_BTHV.sizes());
  expect_equal("S", out.final_S_NHKV, inputs.initial_S_NHKV);
  expect_equal("M", out.final_M_NHKV, inputs.initial_M_NHKV);
  for (const Named& gradient : gradients(inputs, out)) {
    if (gradient.name == "initial_S")
      expect_equal("gradient of S", gradient.tensor, normal(gradient.tensor.sizes(), 1002));
  }
  const Outputs fresh =
      chunk(make_inputs({.shape = {.T = 0}, .rule = kMdn, .initial_state = false}), {.want_state = true});
  EXPECT_EQ(fresh.final_S_NHKV.abs().max().item<double>(), 0);
}

TEST(Scan, SplitInTwoEqualsTheWhole) {
  for (const Rule& rule : kRules) {
    SCOPED_TRACE(name(rule));
    const Inputs inputs = make_inputs({.shape = {.T = 90}, .rule = rule});
    const Outputs whole = chunk(inputs, {.want_state = true});
    const Outputs first = chunk(tokens(inputs, 0, 41), {.want_state = true});
    Inputs rest = tokens(inputs, 41, 90);
    rest.initial_S_NHKV = first.final_S_NHKV;
    rest.initial_M_NHKV = first.final_M_NHKV;
    Outputs second = chunk(rest, {.want_state = true});
    second.o_BTHV = at::cat({first.o_BTHV, second.o_BTHV}, 1);
    expect_agree(inputs, second, whole, 1e-13);
  }
}

TEST(Scan, TheFutureNeverMovesThePast) {
  for (const Rule& rule : kRules) {
    SCOPED_TRACE(name(rule));
    for (const std::int64_t cut : {1, 13, 32, 50}) {
      const Inputs inputs = make_inputs({.rule = rule, .dtype = at::kFloat});
      Inputs other = make_inputs({.rule = rule, .dtype = at::kFloat, .seed = 2});
      const c10::AutoGradMode no_grad(false);
      const Outputs before = chunk(inputs);
      for (std::size_t i = 0; i < kTensors; ++i) {
        if (!tensors(inputs)[i]->defined()) continue;
        const bool is_state = i >= kTensors - 2;
        const at::Tensor& past = *tensors(inputs)[i];
        // Even a future that is not a number.
        *tensors(other)[i] = is_state ? past
                                      : at::cat({past.slice(1, 0, cut), tensors(other)[i]->slice(1, cut, 76),
                                                 at::zeros_like(past.slice(1, 76)).div(0)},
                                                1);
      }
      const Outputs after = chunk(other);
      expect_equal("o before the cut", after.o_BTHV.slice(1, 0, cut), before.o_BTHV.slice(1, 0, cut));
      EXPECT_TRUE(after.o_BTHV.slice(1, 76).isnan().all().item<bool>());
    }
  }
}

TEST(Scan, AGateOfMinusInfinityForgetsAndHasNoGradient) {
  for (const Rule& rule : kRules) {
    SCOPED_TRACE(name(rule));
    constexpr std::int64_t start = 40;
    Inputs inputs = make_inputs({.rule = rule});
    const auto forget_at = [&](const at::Tensor& gate) {
      at::Tensor changed = gate.detach().clone();
      changed.select(1, start).fill_(-kInfinity);
      return changed.requires_grad_(true);
    };
    inputs.log_alpha = forget_at(inputs.log_alpha);
    if (rule.momentum) inputs.log_mu = forget_at(inputs.log_mu);
    if (rule.own_p) {
      at::Tensor p = inputs.p_BTHK.detach().clone();
      p.select(1, start).fill_(0);
      inputs.p_BTHK = p.requires_grad_(true);
    }
    const Outputs out = chunk(inputs, {.want_state = true});
    expect_agree(inputs, out, reference(inputs), 1e-12);
    for (const Named& gradient : gradients(inputs, out)) {
      EXPECT_TRUE(gradient.tensor.isfinite().all().item<bool>()) << gradient.name;
      if (gradient.name == "log_alpha" || gradient.name == "log_mu") {
        EXPECT_EQ(gradient.tensor.select(1, start).abs().max().item<double>(), 0) << gradient.name;
      }
    }
    Inputs fresh = tokens(inputs, start, 77);
    fresh.initial_S_NHKV = fresh.initial_M_NHKV = at::Tensor();
    expect_close("o after it", out.o_BTHV.slice(1, start), chunk(fresh).o_BTHV, 1e-14);
  }
}

TEST(Scan, AVastGateBesideASlowOneCostsNoPrecision) {
  for (const double vast : {-20.0, -1e4}) {
    for (const Rule& rule : {kMdn, kChannelMdn}) {
      Inputs inputs = make_inputs(
          {.rule = rule, .dtype = at::kFloat, .log_alpha = -1e-4, .log_mu = -1e-4, .largest_beta = 0.01});
      for (at::Tensor* gate : {&inputs.log_alpha, &inputs.log_mu}) {
        at::Tensor changed = gate->detach().clone();
        changed.slice(1, 3, 77, 9).fill_(vast);
        *gate = changed.requires_grad_(true);
      }
      expect_agree(inputs, chunk(inputs, {.want_state = true}), reference(inputs), 1e-5);
    }
  }
}

TEST(Scan, EqualGatesInEveryChannelAreScalarGates) {
  for (const bool channel_mu : {false, true}) {
    const Inputs scalar = make_inputs({.rule = kMdn, .log_alpha = kRandomGates, .log_mu = kRandomGates});
    const std::int64_t K = scalar.q_BTGK.size(3);
    Inputs inputs = scalar;
    inputs.log_alpha = scalar.log_alpha.unsqueeze(3).expand({-1, -1, -1, K});
    if (channel_mu) inputs.log_mu = scalar.log_mu.unsqueeze(3).expand({-1, -1, -1, K});
    const Outputs out = chunk(inputs, {.want_state = true}), expected = chunk(scalar, {.want_state = true});
    expect_agree(scalar, out, expected, 1e-13);  // autograd sums over the channels
  }
}

// Against the recurrence with μ written out, and every gradient through it.
TEST(Scan, MuMayShareTheDecayOfTheChannels) {
  constexpr Rule rule{.delta = true, .momentum = true, .channel_decay = true, .look_ahead = 0.5};
  for (const std::string implementation : {"cpu", "batched"}) {
    Inputs inputs = make_inputs({.rule = rule, .log_alpha = kRandomGates, .log_mu = kRandomGates});
    inputs.mu_shares_alpha = true;
    Inputs written_out = inputs;
    written_out.log_mu = inputs.log_alpha.add(inputs.log_mu.unsqueeze(3));
    written_out.mu_shares_alpha = false;
    const Options options{.want_state = true, .implementation = implementation};
    expect_agree(inputs, chunk(inputs, options), reference(written_out), 1e-12);
    expect_agree(inputs, reference(inputs), reference(written_out), 1e-15);
  }
}

TEST(Scan, AStepMayShareMuWithTheDecayOfTheChannels) {
  constexpr Rule rule{.delta = true, .momentum = true, .channel_decay = true};
  Inputs inputs = make_inputs({.shape = {.T = 1}, .rule = rule});
  inputs.mu_shares_alpha = true;
  const at::NoGradGuard no_grad;
  const Outputs out = step(inputs), expected = reference(inputs);
  expect_close("o", out.o_BTHV, expected.o_BTHV, 1e-12);
  expect_close("M", out.final_M_NHKV, expected.final_M_NHKV, 1e-12);
}

TEST(Scan, AChannelOfMinusInfinityForgetsAlone) {
  Inputs inputs = make_inputs({.rule = kChannelMdn});
  constexpr std::int64_t start = 40, channel = 5;
  for (at::Tensor* gate : {&inputs.log_alpha, &inputs.log_mu}) {
    at::Tensor changed = gate->detach().clone();
    changed.select(1, start).select(2, channel).fill_(-kInfinity);
    *gate = changed.requires_grad_(true);
  }
  expect_agree(inputs, chunk(inputs, {.want_state = true}), reference(inputs), 1e-12);
}

TEST(Scan, ReadsStridedInputsInPlaceOrNot) {
  const Inputs inputs =
      make_inputs({.rule = {.delta = true, .momentum = true, .own_p = true, .channel_decay = true}});
  Inputs strided = inputs;
  strided.log_alpha = inputs.log_alpha.transpose(2, 3).contiguous().transpose(2, 3);
  strided.q_BTGK = inputs.q_BTGK.transpose(1, 2).contiguous().transpose(1, 2);  // heads outside
  strided.k_BTGK = at::cat({inputs.k_BTGK, inputs.k_BTGK}, 3).slice(3, 0, 24);  // wider rows
  strided.v_BTHV = inputs.v_BTHV.transpose(2, 3).contiguous().transpose(2, 3);  // entries apart
  strided.beta_BTH = inputs.beta_BTH.transpose(0, 2).contiguous().transpose(0, 2);
  const Outputs out = chunk(strided, {.want_state = true}), expected = chunk(inputs, {.want_state = true});
  expect_equal("o", out.o_BTHV, expected.o_BTHV);
  const auto found = gradients(inputs, out), wanted = gradients(inputs, expected);
  for (std::size_t i = 0; i < found.size(); ++i)
    expect_equal(found[i].name, found[i].tensor, wanted[i].tensor);
}

TEST(Scan, ThreadsChangeNoBit) {
  const int threads = at::get_num_threads();
  for (const Rule& rule : {kMdn, kChannelMdn}) {
    const Inputs inputs =
        make_inputs({.shape = {.B = 3, .T = 300, .H = 4, .G = 4, .K = 32, .V = 32}, .rule = rule});
    at::set_num_threads(1);
    const Outputs one = chunk(inputs, {.want_state = true});
    const auto wanted = gradients(inputs, one);
    at::set_num_threads(4);
    const Outputs four = chunk(inputs, {.want_state = true});
    const auto found = gradients(inputs, four);
    at::set_num_threads(threads);
    expect_equal("o", four.o_BTHV, one.o_BTHV);
    for (std::size_t i = 0; i < found.size(); ++i)
      expect_equal(found[i].name, found[i].tensor, wanted[i].tensor);
  }
}

}  // namespace

}  // namespace mdnlab::scan
