#include "cli/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/gpu.h"
#include "cli/bench_words.h"
#include "run/machine.h"
#include "store/benches.h"

namespace mdnlab {

namespace {

// 0 where there is no such row.
template <class Condition>
double median_where(const std::vector<BenchRow>& rows, Condition condition) {
  const auto row = std::ranges::find_if(rows, condition);
  return row == rows.end() ? 0 : row->median_ms;
}

Table cpu_table(const std::vector<BenchRow>& rows) {
  const auto find = [&](const std::string& rule, const std::string& direction) {
    return median_where(rows, [&](const BenchRow& r) { return r.rule == rule && r.direction == direction; });
  };
  Table table{{{"rule"},
               {"direction"},
               {"B,T,H,K,V"},
               {"dtype"},
               {"median_ms", true},
               {"spread_ms", true},
               {"peak_mib", true},
               {"tokens_per_second", true},
               {"ratio"}},
              {}};
  for (const BenchRow& row : rows) {
    const double loop = find(row.rule + " (token loop)", "fwd+bwd"),
                 attention = find("attention", "training step");
    std::string ratio;
    if (row.direction == "fwd+bwd" && loop > 0)
      ratio = fmt::format("{:.1f}× faster than the loop", loop / row.median_ms);
    if (row.direction == "training step" && attention > 0)
      ratio = fmt::format("{:.2f}× attention", row.median_ms / attention);
    table.rows.push_back({row.rule, row.direction, shape_text(row.shape), row.dtype,
                          fmt::format("{:.3f}", row.median_ms), fmt::format("{:.3f}", row.spread_ms),
                          fmt::format("{:.1f}", row.peak_mib), fmt::format("{:.0f}", row.tokens_per_second),
                          ratio});
  }
  return table;
}

// In units of softmax attention's time in the same pass, batch and length; empty where that was not measured.
std::string beside_attention(const BenchRow& row, const std::vector<BenchRow>& rows) {
  const double attention = median_where(rows, [&](const BenchRow& other) {
    return other.rule == "sdpa" && other.shape.K == 64 && other.direction == row.direction &&
           other.shape.B == row.shape.B && other.shape.T == row.shape.T;
  });
  return attention > 0 ? fmt::format("{:.2f}", row.median_ms / attention) : "";
}

Table gpu_table(const std::vector<BenchRow>& rows) {
  Table table{{{"rule"},
               {"kernel"},
               {"B,T,H,K,V"},
               {"dtype"},
               {"direction"},
               {"median_ms", true},
               {"spread_ms", true},
               {"peak_mib", true},
               {"tokens_per_second", true},
               {"tflops", true},
               {"floor", true},
               {"sdpa", true}},
              {}};
  for (const BenchRow& row : rows) {
    table.rows.push_back({row.rule, row.kernel, shape_text(row.shape), row.dtype, row.direction,
                          fmt::format("{:.3f}", row.median_ms), fmt::format("{:.3f}", row.spread_ms),
                          fmt::format("{:.0f}", row.peak_mib), fmt::format("{:.0f}", row.tokens_per_second),
                          fmt::format("{:.0f}", row.tflops),
                          row.floor_share > 0 ? fmt::format("{:.2f}", row.floor_share) : "",
                          beside_attention(row, rows)});
  }
  return table;
}

// A heading for each rule and shape, so that lines fit 80 columns.
std::string gpu_text(const std::vector<BenchRow>& rows) {
  constexpr std::size_t kHeading = 4;  // columns of the whole table that the heading says
  const Table whole = gpu_table(rows);
  std::string text;
  for (std::size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
    Table part{{whole.columns.begin() + kHeading, whole.columns.end()}, {}};
    const auto is_same = [&](std::size_t i) {
      return std::ranges::equal(whole.rows[i].begin(), whole.rows[i].begin() + kHeading,
                                whole.rows[begin].begin(), whole.rows[begin].begin() + kHeading);
    };
    for (end = begin; end < rows.size() && is_same(end); ++end)
      part.rows.emplace_back(whole.rows[end].begin() + kHeading, whole.rows[end].end());
    const BenchRow& row = rows[begin];
    text +=
        fmt::format("{}{}, B,T,H,K,V {}, {}{}\n{}", begin > 0 ? "\n" : "", row.rule, shape_text(row.shape),
                    row.dtype, row.kernel.empty() ? "" : ", " + row.kernel, part.text(TableFormat::plain));
  }
  return text;
}

nlohmann::json gpu_json(const BenchSetting& setting) {
  const std::vector<Gpu>& gpus = gpu_facts().gpus;
  const std::size_t index = setting.device.has_index() ? static_cast<std::size_t>(setting.device.index()) : 0;
  const Gpu& gpu = gpus.at(index);
  nlohmann::json json{{"name", gpu.name},
                      {"driver", gpu_facts().driver},
                      {"capability", capability_text(gpu.capability)},
                      {"multiprocessors", gpu.multiprocessors},
                      {"memory_mib", gpu.memory_mib}};
  if (const auto clocks = gpu_clocks(gpu)) {
    json["sm_mhz"] = clocks->sm_mhz;
    json["most_sm_mhz"] = clocks->most_sm_mhz;
    json["memory_mhz"] = clocks->memory_mhz;
  }
  return json;
}

}  // namespace

std::string bench_text(const std::vector<BenchRow>& rows, const BenchSetting& setting, TableFormat format) {
  if (setting.device.is_cpu()) return cpu_table(rows).text(format);
  return format == TableFormat::plain ? gpu_text(rows) : gpu_table(rows).text(format);
}

nlohmann::ordered_json bench_json(const std::vector<BenchRow>& rows, const BenchSetting& setting) {
  const MachineFacts machine = machine_facts();
  nlohmann::ordered_json json{{"machine",
                               {{"host", machine.host},
                                {"cpu", machine.cpu},
                                {"cpu_cores", machine.cpu_cores},
                                {"threads", setting.threads}}},
                              {"benches", nlohmann::ordered_json::array()}};
  if (!setting.device.is_cpu()) json["machine"]["gpu"] = gpu_json(setting);
  for (const BenchRow& row : rows) json["benches"].push_back(nlohmann::ordered_json(to_json(row)));
  return json;
}

void store_benches(const std::filesystem::path& database, const std::vector<BenchRow>& rows,
                   const BenchSetting& setting) {
  Store store = Store::open(database);
  const std::int64_t machine = ensure_machine(store, machine_facts()),
                     build = ensure_build(store, build_facts());
  nlohmann::json settings{{"threads", setting.threads}};
  if (!setting.device.is_cpu()) settings["gpu"] = gpu_json(setting);
  for (const BenchRow& row : rows) {
    nlohmann::json own = settings;
    if (!row.kernel.empty()) own["kernel"] = row.kernel;
    if (row.shape.key_heads() != row.shape.H) own["key_heads"] = row.shape.key_heads();
    if (row.tflops > 0) own["tflops"] = row.tflops;
    if (row.floor_share > 0) own["floor_share"] = row.floor_share;
    add_bench(store, {.rule = row.rule,
                      .device = row.device,
                      .dtype = row.dtype,
                      .batch = row.shape.B,
                      .tokens = row.shape.T,
                      .heads = row.shape.H,
                      .key_width = row.shape.K,
                      .value_width = row.shape.V,
                      .direction = row.direction,
                      .median_ms = row.median_ms,
                      .spread_ms = row.spread_ms,
                      .peak_mib = row.peak_mib,
                      .tokens_per_second = row.tokens_per_second,
                      .machine_id = machine,
                      .build_id = build,
                      .settings_json = own.dump()});
  }
}

}  // namespace mdnlab
