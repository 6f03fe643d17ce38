#include "check/bench_scan.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "check/peak_memory.h"
#include "check/stopwatch.h"
#include "check/verdict.h"
#include "scan/implementation.h"
#include "scan/reference.h"

namespace mdnlab {

namespace {

constexpr double kMib = 1024.0 * 1024.0;

at::Generator generator_of(c10::Device device) {
  if (device.is_cpu()) return at::make_generator<at::CPUGeneratorImpl>(1);
  at::Generator generator = at::globalContext().defaultGenerator(device);
  generator.set_current_seed(1);
  return generator;
}

scan::Inputs make_inputs(const ScanBench& bench, std::int64_t tokens) {
  const auto [B, T, H, K, V, G] = bench.shape;
  const std::int64_t key_heads = bench.shape.key_heads();
  const at::Generator generator = generator_of(bench.device);
  const auto normal = [&](at::IntArrayRef shape) { return at::randn(shape, generator, bench.device); };
  const auto uniform = [&, B = B, H = H] { return at::rand({B, tokens, H}, generator, bench.device); };
  const auto unit = [](const at::Tensor& x) { return x.div(x.norm(2, {-1}, true)); };
  scan::Inputs in;
  in.q_BTGK = unit(normal({B, tokens, key_heads, K})).div(std::sqrt(static_cast<double>(K)));
  in.k_BTGK = unit(normal({B, tokens, key_heads, K}));
  in.v_BTHV = normal({B, tokens, H, V});
  if (bench.cell.has_channel_decay) {
    in.log_alpha = at::rand({B, tokens, H, K}, generator, bench.device).mul(-0.1);
  } else if (bench.cell.has_decay) {
    in.log_alpha = uniform().mul(-0.1);
  }
  if (bench.cell.has_momentum) in.log_mu = uniform().mul(-2);
  in.mu_shares_alpha = bench.cell.has_momentum && bench.cell.has_channel_decay;
  in.beta_BTH = uniform().mul(0.3);
  in.eta_BTH = uniform().add(0.5);
  in.has_delta = bench.cell.has_delta;
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

BenchRow measure(const ScanBench& bench, const std::string& direction, std::int64_t tokens,
                 std::int64_t returned_bytes, const std::function<void()>& work) {
  BenchRow row{.rule = bench.rule,
               .device = bench.device.is_cpu() ? "cpu" : "cuda",
               .dtype = check::dtype_word(bench.dtype),
               .kernel = bench.kernel,
               .shape = bench.shape,
               .direction = direction};
  work();  // what libraries keep for themselves is not the scan's
  {
    const PeakMemory memory(bench.device);
    work();
    wait_for(bench.device);
    row.peak_mib = std::max(0.0, static_cast<double>(memory.bytes() - returned_bytes) / kMib);
  }
  const Timing timing = time_work(bench.device, bench.repeats, work);
  row.median_ms = timing.median_ms;
  row.spread_ms = timing.spread_ms;
  row.tokens_per_second = static_cast<double>(tokens) / row.median_ms * 1e3;
  return row;
}

BenchRow with_cost(BenchRow row, const ScanBench& bench) {
  if (bench.device.is_cpu()) return row;
  const ScanCost cost = scan_cost(bench.cell, bench.shape, bench.dtype, row.direction);
  row.tflops = cost.operations / row.median_ms / 1e9;
  row.floor_share = floor_ms(cost, bench.dtype, row.direction) / row.median_ms;
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

BenchRow measure_step(const ScanBench& bench) {
  const c10::AutoGradMode no_grad(false);
  scan::Inputs token = make_inputs(bench, 1);
  ScanBench named = bench;
  named.kernel = scan::choose(token, bench.kernel, scan::Pass::step).name;
  const scan::Outputs state = scan::step(token, bench.kernel);
  token.initial_S_NHKV = state.final_S_NHKV;
  token.initial_M_NHKV = state.final_M_NHKV;
  std::int64_t returned = result_bytes(token, false) + bytes(state.final_S_NHKV);
  if (state.final_M_NHKV.defined()) returned += bytes(state.final_M_NHKV);
  return measure(named, "step", bench.shape.B, returned, [&] { scan::step(token, bench.kernel); });
}

}  // namespace

std::vector<BenchRow> bench_scan(const ScanBench& bench) {
  const scan::Inputs inputs = make_inputs(bench, bench.shape.T);
  ScanBench named = bench;
  named.kernel = scan::choose(inputs, bench.kernel).name;
  const scan::Options options{
      .chunk_size = bench.chunk_size, .want_state = false, .implementation = named.kernel};
  std::vector<BenchRow> rows;
  {
    const c10::AutoGradMode no_grad(false);
    rows.push_back(measure(named, "fwd", bench.shape.B * bench.shape.T, result_bytes(inputs, false),
                           [&] { scan::chunk(inputs, options); }));
  }
  rows.push_back(
      measure_both(named, inputs, [&](const scan::Inputs& in) { return scan::chunk(in, options); }));
  rows.push_back(measure_step(bench));
  for (BenchRow& row : rows) row = with_cost(std::move(row), bench);
  return rows;
}

BenchRow bench_loop(const ScanBench& bench) {
  ScanBench named = bench;
  named.rule += " (token loop)";
  return measure_both(named, make_inputs(bench, bench.shape.T), scan::loop);
}

std::vector<BenchRow> bench_attention(const ScanBench& given) {
  ScanBench bench = given;
  bench.rule = "sdpa";
  bench.kernel.clear();
  bench.shape.V = bench.shape.K;
  const auto [B, T, H, K, V, G] = bench.shape;
  const at::Generator generator = generator_of(bench.device);
  std::vector<at::Tensor> qkv;
  for (int i = 0; i < 3; ++i) {
    qkv.push_back(at::randn({B, H, T, K}, generator, bench.device).to(bench.dtype).requires_grad_(true));
  }
  const at::Tensor dO = at::randn(qkv[0].sizes(), qkv[0].options().requires_grad(false));
  const auto attend = [&] {
    return at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], {}, 0, /*is_causal=*/true);
  };
  std::vector<BenchRow> rows;
  {
    const c10::AutoGradMode no_grad(false);
    rows.push_back(measure(bench, "fwd", B * T, bytes(dO), attend));
  }
  rows.push_back(
      measure(bench, "fwd+bwd", B * T, 4 * bytes(dO), [&] { torch::autograd::grad({attend()}, qkv, {dO}); }));
  // Half of the scores are masked. Backward does five products where forward does two.
  const double forward = static_cast<double>(B * H) * 2 * static_cast<double>(T) * static_cast<double>(T) * K;
  rows[0].tflops = forward / rows[0].median_ms / 1e9;
  rows[1].tflops = 3.5 * forward / rows[1].median_ms / 1e9;
  return rows;
}

nlohmann::json to_json(const BenchRow& row) {
  const ScanShape& shape = row.shape;
  nlohmann::json json{
      {"rule", row.rule},
      {"device", row.device},
      {"dtype", row.dtype},
      {"shape", {{"B", shape.B}, {"T", shape.T}, {"H", shape.H}, {"K", shape.K}, {"V", shape.V}}},
      {"direction", row.direction},
      {"median_ms", row.median_ms},
      {"spread_ms", row.spread_ms},
      {"peak_mib", row.peak_mib},
      {"tokens_per_second", row.tokens_per_second}};
  if (shape.key_heads() != shape.H) json["shape"]["G"] = shape.key_heads();
  if (!row.kernel.empty()) json["kernel"] = row.kernel;
  if (row.tflops > 0) json["tflops"] = row.tflops;
  if (row.floor_share > 0) json["floor_share"] = row.floor_share;
  return json;
}

}  // namespace mdnlab
