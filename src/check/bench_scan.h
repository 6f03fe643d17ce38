// Times the scan of scan/chunk.h on a device, alone, against the token-by-token loop, and beside softmax
// attention.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "check/scan_cost.h"

namespace mdnlab {

struct ScanBench {
  std::string rule;  // what the rows call it
  ScanCell cell;
  ScanShape shape;
  c10::ScalarType dtype = c10::ScalarType::Float;
  c10::Device device = c10::kCPU;
  std::string kernel;           // of scan/implementation.h; empty: the first that takes the inputs
  int repeats = 9;              // timed runs, at least 5, after two that are not
  std::int64_t chunk_size = 0;  // as in scan::Options
};

struct BenchRow {
  std::string rule, device, dtype;
  std::string kernel = {};  // the scan's implementation
  ScanShape shape;
  std::string direction;  // fwd, fwd+bwd, step
  double median_ms = 0;
  double spread_ms = 0;  // between the quartiles
  double peak_mib = 0;   // allocated at the fullest, without inputs, dO, one set of gradients and one o
  double tokens_per_second = 0;
  double tflops = 0;       // operations of scan_cost.h by the median; 0 where they are not counted
  double floor_share = 0;  // floor_ms of scan_cost.h by the median; 0 on other devices than a GPU
};

// fwd (without autograd), fwd+bwd (with regard to every input), and step on B sequences, on random data. On
// the CPU on as many threads as at::get_num_threads() says.
std::vector<BenchRow> bench_scan(const ScanBench& bench);

// fwd+bwd of scan::loop under plain autograd, in the same dtype: the baseline. Slow.
BenchRow bench_loop(const ScanBench& bench);

// fwd and fwd+bwd of LibTorch's causal softmax attention, H heads of width K: what every other time on the
// same device can be held against. Only B, T, H, K, dtype, device and repeats of `bench` count; V is K, the
// rule "sdpa".
std::vector<BenchRow> bench_attention(const ScanBench& bench);

nlohmann::json to_json(const BenchRow& row);  // as interfaces.md; on a GPU also kernel, tflops, floor_share

}  // namespace mdnlab
