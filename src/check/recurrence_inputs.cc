#include "check/recurrence_inputs.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "rule/initial.h"
#include "scan/inputs.h"

namespace mdnlab::check {

namespace {

constexpr const char* kNames[] = {"q",    "k",   "v", "log_alpha", "log_mu",
                                  "beta", "eta", "p", "initial_S", "initial_M"};
constexpr double kLargestState = 1e3;

bool is_row(std::size_t tensor) { return tensor < 3 || tensor == 7; }

bool is_gate(std::size_t tensor) { return !is_row(tensor) && !is_state(tensor); }

at::Tensor drawn(at::IntArrayRef shape, const Initial& initial, std::uint64_t seed, std::string_view name) {
  at::Tensor values = at::empty(shape, at::kFloat);
  fill(values, initial, seed, name);
  return values.to(at::kDouble);
}

at::Tensor unit(const at::Tensor& x) { return x / (x.square().sum(-1, true) + 1e-6).sqrt(); }

// Values of log-gates around `value`, or of every size.
at::Tensor log_gate(double value, at::IntArrayRef shape, std::uint64_t seed, const char* name) {
  const at::Tensor u = uniform(shape, seed, name);
  if (value != kMixed) return (u + 0.5) * value;
  static constexpr std::array kSizes{-1e-4, -0.1, -1.0, -5.0, -20.0};
  const at::Tensor sizes = at::tensor(at::ArrayRef<double>(kSizes), at::kDouble);
  return sizes.index_select(0, (u * 5).to(at::kLong).flatten()).view(shape);
}

// The shapes and dtypes of make_inputs' tensors, without values worth reading.
scan::Inputs blank_inputs(const Recurrence& recurrence, const InputSettings& s, at::ScalarType dtype) {
  const auto wide = at::TensorOptions(dtype == at::kDouble ? at::kDouble : at::kFloat),
             narrow = wide.dtype(dtype);
  std::vector<std::int64_t> gate{s.B, s.T, s.H}, decay = gate;
  if (recurrence.decay == Decay::channel) decay.push_back(s.K);
  const std::int64_t N = s.cu_seqlens.empty() ? s.B : std::ssize(s.cu_seqlens) - 1;
  scan::Inputs in;
  in.q_BTGK = in.k_BTGK = at::empty({s.B, s.T, s.G, s.K}, narrow);
  in.v_BTHV = at::empty({s.B, s.T, s.H, s.V}, narrow);
  if (recurrence.decay != Decay::none) in.log_alpha = at::empty(decay, wide);
  if (recurrence.momentum) {
    in.log_mu = at::empty(s.mu == InputSettings::Mu::channel ? decay : gate, wide);
    in.mu_shares_alpha = recurrence.decay == Decay::channel && s.mu == InputSettings::Mu::shares_alpha;
  }
  if (!s.neutral) in.beta_BTH = in.eta_BTH = at::empty(gate, wide);
  in.has_delta = recurrence.delta;
  if (recurrence.delta && s.own_p) in.p_BTHK = at::empty({s.B, s.T, s.H, s.K}, narrow);
  if (recurrence.momentum) in.look_ahead = s.look_ahead;
  if (s.state) in.initial_S_NHKV = at::empty({N, s.H, s.K, s.V}, wide);
  if (s.state && recurrence.momentum) in.initial_M_NHKV = in.initial_S_NHKV;
  if (!s.cu_seqlens.empty()) in.cu_seqlens = at::tensor(at::ArrayRef<std::int32_t>(s.cu_seqlens), at::kInt);
  return in;
}

double largest(const at::Tensor& tensor) {
  return tensor.defined() && tensor.numel() > 0 ? tensor.abs().max().item<double>() : 0;
}

// The largest entry of S and M after any token.
double largest_state(scan::Inputs inputs) {
  const at::NoGradGuard no_grad;
  double most = 0;
  const std::int64_t T = inputs.q_BTGK.size(1);
  inputs.cu_seqlens = at::Tensor();
  if (inputs.initial_S_NHKV.defined() && inputs.initial_S_NHKV.size(0) != inputs.q_BTGK.size(0))
    inputs.initial_S_NHKV = inputs.initial_M_NHKV = at::Tensor();
  for (std::int64_t t = 0; t < T && most < kLargestState; ++t) {
    const scan::Outputs out = scan::reference(tokens(inputs, t, t + 1));
    most = std::max({most, largest(out.final_S_NHKV), largest(out.final_M_NHKV)});
    inputs.initial_S_NHKV = out.final_S_NHKV;
    inputs.initial_M_NHKV = out.final_M_NHKV;
  }
  return std::isfinite(most) ? most : kLargestState;
}

}  // namespace

at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed, std::string_view name) {
  return drawn(shape, {.kind = Initial::Kind::normal, .a = 1}, seed, name);
}

at::Tensor uniform(at::IntArrayRef shape, std::uint64_t seed, std::string_view name) {
  return drawn(shape, {.kind = Initial::Kind::uniform, .a = 0, .b = 1}, seed, name);
}

bool is_state(std::size_t tensor) { return tensor >= scan::kTensors - 2; }

scan::Inputs make_inputs(const Recurrence& recurrence, const InputSettings& s, std::uint64_t seed,
                         c10::Device device) {
  const auto keys = [&](const char* name, std::int64_t heads) {
    const at::Tensor x = normal({s.B, s.T, heads, s.K}, seed, name);
    return s.raw_keys ? x : unit(x);
  };
  std::vector<std::int64_t> gate{s.B / s.draws, s.T, s.H}, decay = gate;
  if (recurrence.decay == Decay::channel) decay.push_back(s.K);

  scan::Inputs in;
  in.q_BTGK = keys("q", s.G) * (1 / std::sqrt(static_cast<double>(s.K)));
  in.k_BTGK = keys("k", s.G);
  in.v_BTHV = normal({s.B, s.T, s.H, s.V}, seed, "v");
  if (recurrence.decay != Decay::none) in.log_alpha = log_gate(s.gates.log_alpha, decay, seed, "log_alpha");
  if (recurrence.momentum) {
    in.log_mu = log_gate(s.gates.log_mu, s.mu == InputSettings::Mu::channel ? decay : gate, seed, "log_mu");
    in.mu_shares_alpha = recurrence.decay == Decay::channel && s.mu == InputSettings::Mu::shares_alpha;
  }
  if (s.forgets) {
    for (at::Tensor* log_gates : {&in.log_alpha, &in.log_mu}) {
      if (!log_gates->defined()) continue;
      for (const std::int64_t t : {s.T / 3, s.T / 2})
        log_gates->select(1, t).fill_(-std::numeric_limits<double>::infinity());
    }
  }
  in.has_delta = recurrence.delta;
  if (recurrence.delta && s.own_p) in.p_BTHK = unit(normal({s.B, s.T, s.H, s.K}, seed, "p")) * 0.9;
  if (recurrence.momentum) in.look_ahead = s.look_ahead;
  const auto documents = static_cast<std::int64_t>(s.cu_seqlens.size()) - 1;
  if (documents > 0) in.cu_seqlens = at::tensor(at::ArrayRef<std::int32_t>(s.cu_seqlens), at::kInt);
  if (s.state) {
    const std::int64_t N = documents > 0 ? documents : s.B;
    in.initial_S_NHKV = normal({N, s.H, s.K, s.V}, seed, "initial_S") * 0.3;
    if (recurrence.momentum) in.initial_M_NHKV = normal({N, s.H, s.K, s.V}, seed, "initial_M") * 0.3;
  }
  if (!s.neutral) {
    in.beta_BTH = uniform(gate, seed, "beta") * s.gates.largest_beta;
    in.eta_BTH = uniform(gate, seed, "eta") + 0.5;
  }
  for (std::size_t i = 0; i < scan::kTensors; ++i) {
    at::Tensor& tensor = *scan::tensors(in)[i];
    if (!tensor.defined()) continue;
    if (is_gate(i)) tensor = at::cat(std::vector<at::Tensor>(s.draws, tensor));
    tensor = tensor.to(device, at::kFloat).to(at::kDouble);
  }
  at::Tensor& write = s.neutral ? in.v_BTHV : in.beta_BTH;  // a power of two keeps it a float32
  while (largest_state(in) >= kLargestState) write = write * 0.5;
  return in;
}

std::optional<InputSettings> fitted(const Kernel::Refusal& refusal, const Recurrence& recurrence,
                                    const InputSettings& settings, at::ScalarType dtype, Verdict& verdict) {
  std::vector<std::string> reasons;
  for (const auto& [K, V] : {std::pair{settings.K, settings.V}, {64, 64}, {128, 64}, {256, 64}}) {
    InputSettings tried = settings;
    tried.K = K;
    tried.V = V;
    reasons.push_back(refusal(blank_inputs(recurrence, tried, dtype)));
    if (reasons.back().empty()) return tried;
  }
  // What is refused at several widths is not about the width.
  verdict.leave_out(*std::ranges::max_element(
      reasons, {}, [&](const std::string& reason) { return std::ranges::count(reasons, reason); }));
  return std::nullopt;
}

scan::Inputs as(const scan::Inputs& inputs, at::ScalarType dtype) {
  scan::Inputs out = inputs;
  const auto wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
  for (std::size_t i = 0; i < scan::kTensors; ++i) {
    at::Tensor& tensor = *scan::tensors(out)[i];
    if (!tensor.defined()) continue;
    if (!is_gate(i)) tensor = tensor.to(dtype);
    if (!is_row(i)) tensor = tensor.to(wide);
  }
  return out;
}

scan::Inputs tokens(const scan::Inputs& inputs, std::int64_t begin, std::int64_t end) {
  scan::Inputs part = inputs;
  for (std::size_t i = 0; i < scan::kTensors; ++i) {
    at::Tensor& tensor = *scan::tensors(part)[i];
    if (tensor.defined() && !is_state(i)) tensor = tensor.slice(1, begin, end);
  }
  return part;
}

std::vector<Named> results(const Scan& scan, const scan::Inputs& inputs, std::uint64_t seed,
                           std::optional<at::ScalarType> rounded_to) {
  const at::ScalarType dtype = rounded_to.value_or(inputs.q_BTGK.scalar_type());
  scan::Inputs leaves = inputs;
  std::vector<Named> list;
  std::vector<at::Tensor> variables;
  for (std::size_t i = 0; i < scan::kTensors; ++i) {
    at::Tensor& tensor = *scan::tensors(leaves)[i];
    if (!tensor.defined()) continue;
    tensor = tensor.detach().requires_grad_(true);
    variables.push_back(tensor);
    list.push_back({std::string("d_") + kNames[i], {}, is_state(i) ? 1 : 2});
  }
  const scan::Outputs out = scan(leaves);
  std::vector<Named> outputs{{"o", out.o_BTHV, 2}, {"S", out.final_S_NHKV, 1}};
  if (inputs.log_mu.defined()) outputs.push_back({"M", out.final_M_NHKV, 1});
  std::vector<at::Tensor> roots, adjoints;
  for (const Named& output : outputs) {
    if (!output.tensor.defined() || !output.tensor.requires_grad()) continue;
    roots.push_back(output.tensor);
    const at::Tensor adjoint = normal(output.tensor.sizes(), seed, "adjoint of " + output.name);
    adjoints.push_back(adjoint.to(dtype).to(output.tensor.options()));
  }
  if (!roots.empty()) {
    const auto gradients =
        torch::autograd::grad(roots, variables, adjoints, std::nullopt, false, /*allow_unused=*/true);
    for (std::size_t i = 0; i < list.size(); ++i) list[i].tensor = gradients[i];
  }
  for (Named& output : outputs) output.tensor = output.tensor.detach();
  list.insert(list.begin(), outputs.begin(), outputs.end());
  return list;
}

bool is_low_precision(at::ScalarType dtype) { return dtype == at::kBFloat16 || dtype == at::kHalf; }

InputSettings repeated(InputSettings settings, std::int64_t draws) {
  const std::vector<std::int32_t> starts = settings.cu_seqlens;
  const auto tokens = static_cast<std::int32_t>(settings.B * settings.T);
  settings.B *= draws;
  settings.draws = draws;
  for (std::int32_t n = 1; n < draws && !starts.empty(); ++n) {
    for (std::size_t i = 1; i < starts.size(); ++i) settings.cu_seqlens.push_back(starts[i] + n * tokens);
  }
  return settings;
}

std::vector<std::vector<double>> low_precision_tolerances(const scan::Inputs& inputs,
                                                          const std::vector<Named>& exact, std::uint64_t seed,
                                                          at::ScalarType dtype) {
  const std::vector<Named> best = results(scan::reference, as(as(inputs, dtype), at::kDouble), seed, dtype);
  std::vector<std::vector<double>> tolerances(exact.size());
  for (std::size_t n = 0; n < exact.size(); ++n) {
    if (!exact[n].tensor.defined()) continue;
    tolerances[n] =
        relative_errors(best[n].tensor.to(dtype), exact[n].tensor, exact[n].head_dimension, kDraws);
    for (double& tolerance : tolerances[n]) tolerance = 2 * tolerance + check::tolerance(at::kFloat);
  }
  return tolerances;
}

}  // namespace mdnlab::check
