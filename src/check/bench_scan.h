// Times the scan of scan/chunk.h, alone and against the token-by-token loop.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace mdnlab {

struct ScanShape {
  std::int64_t B = 1, T = 1024, H = 4, K = 64, V = 64;
};

struct ScanBench {
  std::string rule;  // what the rows call it
  bool has_delta = false, has_momentum = false;
  bool has_channel_decay = false;  // with momentum, μ is channel-wise as well
  ScanShape shape;
  c10::ScalarType dtype = c10::ScalarType::Float;
  int repeats = 9;              // timed runs, at least 5, after two that are not
  std::int64_t chunk_size = 0;  // as in scan::Options
};

struct BenchRow {
  std::string rule, device, dtype;
  ScanShape shape;
  std::string direction;  // fwd, fwd+bwd, step
  double median_ms = 0;
  double spread_ms = 0;  // between the quartiles
  double peak_mib = 0;   // allocated at the fullest, without inputs, dO, one set of gradients and one o
  double tokens_per_second = 0;
};

// fwd (without autograd), fwd+bwd (with regard to every input), and step on B sequences. On the CPU, on as
// many threads as at::get_num_threads() says.
std::vector<BenchRow> bench_scan(const ScanBench& bench);

// fwd+bwd of scan::loop under plain autograd, in the same dtype: the baseline. Slow.
BenchRow bench_loop(const ScanBench& bench);

nlohmann::json to_json(const BenchRow& row);  // as interfaces.md

}  // namespace mdnlab
