// What `rules bench` measured: printed and stored.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/table.h"
#include "check/bench_scan.h"

namespace mdnlab {

struct BenchSetting {
  c10::Device device = c10::kCPU;
  std::int64_t threads = 1;
};

// On a GPU with the share of the floor (scan_cost.h) and the time in units of softmax attention's (16 heads
// of 64, same batch and length); on the CPU with ratios to the token loop and to attention's training step.
std::string bench_text(const std::vector<BenchRow>& rows, const BenchSetting& setting, TableFormat format);

nlohmann::ordered_json bench_json(const std::vector<BenchRow>& rows,
                                  const BenchSetting& setting);  // as interfaces.md

void store_benches(const std::filesystem::path& database, const std::vector<BenchRow>& rows,
                   const BenchSetting& setting);

}  // namespace mdnlab
