#include "check/bench_scan.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "check/peak_memory.h"
#include "scan/chunk.h"
#include "scan/inputs.h"
#include "scan/reference.h"

namespace mdnlab {

namespace {

constexpr double kMib = 1024.0 * 1024.0;

scan::Inputs make_inputs(const ScanBench& bench, std::int64_t tokens) {
  const auto [B, T, H, K, V] = bench.shape;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(1);
  const auto normal = [&](at::IntArrayRef shape) { return at::randn(shape, generator); };
  const auto uniform = [&, B = B, H = H] { return at::rand({B, tokens, H}, generator); };
  const auto gate = [&, B = B, H = H, K = K](double lowest) {
    return (bench.has_channel_decay ? at::rand({B, tokens, H, K}, generator) : uniform()).mul(lowest);
  };
  const auto unit = [](const at::Tensor& x) { return x.div(x.norm(2, {-1}, true)); };
  scan::Inputs in;
  in.q_BTGK = unit(normal({B, tokens, H, K})).div(std::sqrt(static_cast<double>(K)));
  in.k_BTGK = unit(normal({B, tokens, H, K}));
  in.v_BTHV = normal({B, tokens, H, V});
  in.log_alpha = gate(-0.1);
  if (bench.has_momentum) in.log_mu = gate(-2);
  in.beta_BTH = uniform().mul(0.3);
  in.eta_BTH = uniform().add(0.5);
  in.has_delta = bench.has_delta;
  const auto gate_dtype = bench.dtype == at::kDouble ? at::kDouble : at::kFloat;
  const auto is_gate = [&](const at::Tensor* tensor) {
    return tensor->dim() == 3 || tensor == &in.log_alpha || tensor == &in.log_mu;
  };
  for (at::Tensor* tensor : scan::tensors(in)) {
    if (tensor->defined())
      *tensor = tensor->to(is_gate(tensor) ? gate_dtype : bench.dtype).requires_grad_(true);
  }
  return in;
}

std::int64_t bytes(const at::Tensor& tensor) { return static_cast<std::int64_t>(tensor.nbytes()); }

// Bytes that any implementation has to return: o, and the gradients of everything given.
std::int64_t result_bytes(const scan::Inputs& inputs, bool with_gradients) {
  std::int64_t total = bytes(inputs.v_BTHV);
  for (const at::Tensor* tensor : scan::tensors(inputs)) {
    if (with_gradients && tensor->defined()) total += bytes(*tensor);
  }
  return total;
}

std::string dtype_word(c10::ScalarType dtype) {
  return dtype == at::kDouble ? "f64" : dtype == at::kFloat ? "f32" : "bf16";
}

BenchRow measure(const ScanBench& bench, const std::string& direction, std::int64_t tokens,
                 std::int64_t returned_bytes, const std::function<void()>& work) {
  BenchRow row{.rule = bench.rule,
               .device = "cpu",
               .dtype = dtype_word(bench.dtype),
               .shape = bench.shape,
               .direction = direction};
  {
    const PeakMemory memory;
    work();
    row.peak_mib = std::max(0.0, static_cast<double>(memory.bytes() - returned_bytes) / kMib);
  }
  work();
  std::vector<double> milliseconds;
  for (int repeat = 0; repeat < std::max(bench.repeats, 5); ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
    milliseconds.push_back(taken.count());
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  const std::size_t n = milliseconds.size();
  row.median_ms = milliseconds[n / 2];
  row.spread_ms = milliseconds[3 * n / 4] - milliseconds[n / 4];
  row.tokens_per_second = static_cast<double>(tokens) / row.median_ms * 1e3;
  return row;
}

using Scan = std::function<scan::Outputs(const scan::Inputs&)>;

BenchRow measure_both(const ScanBench& bench, const scan::Inputs& inputs, const Scan& run) {
  const at::Tensor dO = at::randn(inputs.v_BTHV.sizes(), inputs.v_BTHV.options());
  std::vector<at::Tensor> variables;
  for (const at::Tensor* tensor : scan::tensors(inputs)) {
    if (tensor->defined()) variables.push_back(*tensor);
  }
  return measure(bench, "fwd+bwd", bench.shape.B * bench.shape.T, result_bytes(inputs, true),
                 [&] { torch::autograd::grad({run(inputs).o_BTHV}, variables, {dO}); });
}

}  // namespace

std::vector<BenchRow> bench_scan(const ScanBench& bench) {
  const auto [B, T, H, K, V] = bench.shape;
  const scan::Inputs inputs = make_inputs(bench, T);
  const scan::Options options{.chunk_size = bench.chunk_size, .want_state = false};
  std::vector<BenchRow> rows;
  {
    const c10::AutoGradMode no_grad(false);
    rows.push_back(
        measure(bench, "fwd", B * T, result_bytes(inputs, false), [&] { scan::chunk(inputs, options); }));
  }
  rows.push_back(
      measure_both(bench, inputs, [&](const scan::Inputs& in) { return scan::chunk(in, options); }));

  scan::Inputs token = make_inputs(bench, 1);
  const scan::Outputs state = scan::step(token);
  token.initial_S_NHKV = state.final_S_NHKV;
  token.initial_M_NHKV = state.final_M_NHKV;
  std::int64_t returned = result_bytes(token, false) + bytes(state.final_S_NHKV);
  if (state.final_M_NHKV.defined()) returned += bytes(state.final_M_NHKV);
  rows.push_back(measure(bench, "step", B, returned, [&] { scan::step(token); }));
  return rows;
}

BenchRow bench_loop(const ScanBench& bench) {
  ScanBench named = bench;
  named.rule += " (token loop)";
  return measure_both(named, make_inputs(bench, bench.shape.T), scan::loop);
}

nlohmann::json to_json(const BenchRow& row) {
  const auto& [B, T, H, K, V] = row.shape;
  return {{"rule", row.rule},
          {"device", row.device},
          {"dtype", row.dtype},
          {"shape", {{"B", B}, {"T", T}, {"H", H}, {"K", K}, {"V", V}}},
          {"direction", row.direction},
          {"median_ms", row.median_ms},
          {"spread_ms", row.spread_ms},
          {"peak_mib", row.peak_mib},
          {"tokens_per_second", row.tokens_per_second}};
}

}  // namespace mdnlab
