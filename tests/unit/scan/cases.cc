#include "cases.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

at::TensorOptions options() { return at::TensorOptions().dtype(at::kDouble); }

at::Tensor unit(const at::Tensor& x) { return x.div(x.pow(2).sum(-1, true).add(1e-6).sqrt()); }

}  // namespace

std::string name(const Rule& rule) {
  std::string text = rule.delta ? "delta" : "no_delta";
  text += rule.momentum ? "_momentum" : "";
  text += rule.own_p ? "_own_p" : "";
  text += rule.channel_decay ? "_channel_decay" : "";
  text += rule.channel_mu ? "_channel_mu" : "";
  return text + (rule.look_ahead != 0 ? "_look_ahead" : "");
}

at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), options());
}

Inputs make_inputs(const Settings& settings) {
  const auto [B, T, H, G, K, V] = settings.shape;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(settings.seed);
  const auto randn = [&](at::IntArrayRef shape) { return at::randn(shape, generator, options()); };
  const auto uniform = [&](at::IntArrayRef shape) { return at::rand(shape, generator, options()); };
  const at::Tensor choices = at::tensor({-1e-4, -0.1, -1.0, -5.0, -20.0}, options());
  const auto gate = [&, B = B, T = T, H = H, K = K](double value, bool is_channel_wise) {
    std::vector<std::int64_t> shape{B, T, H};
    if (is_channel_wise) shape.push_back(K);
    if (value == kRandomGates) {
      const at::Tensor draws = at::randint(0, 5, shape, generator, at::TensorOptions().dtype(at::kLong));
      return choices.index_select(0, draws.flatten()).view(shape);
    }
    const at::Tensor same = at::full(shape, value, options());
    return is_channel_wise ? same.mul(uniform({H, K}).add(0.5)) : same;
  };
  Inputs in;
  in.q_BTGK = unit(randn({B, T, G, K})).mul(std::pow(static_cast<double>(K), -0.5));
  in.k_BTGK = unit(randn({B, T, G, K}));
  in.v_BTHV = randn({B, T, H, V});
  in.log_alpha = gate(settings.log_alpha, settings.rule.channel_decay);
  if (settings.rule.momentum) in.log_mu = gate(settings.log_mu, settings.rule.channel_mu);
  in.look_ahead = settings.rule.look_ahead;
  in.beta_BTH = uniform({B, T, H}).mul(settings.largest_beta);
  in.eta_BTH = uniform({B, T, H}).add(0.5);
  in.has_delta = settings.rule.delta;
  if (settings.rule.own_p) in.p_BTHK = unit(randn({B, T, H, K})).mul(0.9);
  if (settings.initial_state) {
    const std::int64_t N = settings.documents > 0 ? settings.documents : B;
    in.initial_S_NHKV = randn({N, H, K, V}).mul(0.3);
    if (settings.rule.momentum) in.initial_M_NHKV = randn({N, H, K, V}).mul(0.3);
  }
  const auto gate_dtype = settings.dtype == at::kDouble ? at::kDouble : at::kFloat;
  for (at::Tensor* tensor : tensors(in)) {
    if (!tensor->defined()) continue;
    const bool is_row =
        tensor == &in.q_BTGK || tensor == &in.k_BTGK || tensor == &in.v_BTHV || tensor == &in.p_BTHK;
    *tensor = tensor->to(is_row ? settings.dtype : gate_dtype).requires_grad_(true);
  }
  return in;
}

std::vector<Named> named(const Inputs& inputs) {
  static const char* const names[] = {"q",    "k",   "v", "log_alpha", "log_mu",
                                      "beta", "eta", "p", "initial_S", "initial_M"};
  std::vector<Named> list;
  for (std::size_t i = 0; i < kTensors; ++i) {
    if (tensors(inputs)[i]->defined()) list.push_back({names[i], *tensors(inputs)[i]});
  }
  return list;
}

std::vector<Named> gradients(const Inputs& inputs, const Outputs& outputs) {
  at::Tensor loss = at::full({}, 0.0, options());
  std::uint64_t seed = 1000;
  for (const at::Tensor* output : {&outputs.o_BTHV, &outputs.final_S_NHKV, &outputs.final_M_NHKV}) {
    ++seed;
    if (output->defined()) loss = loss.add(output->to(at::kDouble).mul(normal(output->sizes(), seed)).sum());
  }
  std::vector<Named> list = named(inputs);
  std::vector<at::Tensor> variables;
  for (const Named& entry : list) variables.push_back(entry.tensor);
  const auto found =
      torch::autograd::grad({loss}, variables, {}, /*retain_graph=*/true, false, /*allow_unused=*/true);
  for (std::size_t i = 0; i < list.size(); ++i) list[i].tensor = found[i];
  return list;
}

double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  const at::Tensor wide = expected.to(at::kDouble);
  const double error = actual.to(at::kDouble).sub(wide).norm().item<double>(),
               norm = wide.norm().item<double>();
  return error == 0 ? 0 : error / norm;
}

void expect_close(const std::string& what, const at::Tensor& actual, const at::Tensor& expected,
                  double tolerance) {
  ASSERT_TRUE(actual.defined() && expected.defined()) << what << " is undefined";
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  const double error = relative_error(actual, expected);
  if (error <= tolerance) return;
  const at::Tensor difference = actual.to(at::kDouble).sub(expected.to(at::kDouble)).abs().flatten();
  const auto worst = difference.argmax().item<std::int64_t>();
  ADD_FAILURE() << what << ": relative error " << error << " > " << tolerance << "; worst at flat index "
                << worst << " of " << actual.sizes() << ": " << actual.flatten()[worst].item<double>()
                << ", expected " << expected.flatten()[worst].item<double>();
}

void expect_equal(const std::string& what, const at::Tensor& actual, const at::Tensor& expected) {
  ASSERT_TRUE(actual.defined() && expected.defined()) << what << " is undefined";
  EXPECT_TRUE(actual.equal(expected)) << what << " differs by " << relative_error(actual, expected);
}

void expect_agree(const Inputs& inputs, const Outputs& actual, const Outputs& expected, double tolerance) {
  expect_close("o", actual.o_BTHV, expected.o_BTHV, tolerance);
  if (actual.final_S_NHKV.defined()) expect_close("S", actual.final_S_NHKV, expected.final_S_NHKV, tolerance);
  if (actual.final_M_NHKV.defined()) expect_close("M", actual.final_M_NHKV, expected.final_M_NHKV, tolerance);
  const std::vector<Named> found = gradients(inputs, actual), wanted = gradients(inputs, expected);
  for (std::size_t i = 0; i < found.size(); ++i) {
    expect_close("gradient of " + found[i].name, found[i].tensor, wanted[i].tensor, tolerance);
  }
}

}  // namespace mdnlab::scan
