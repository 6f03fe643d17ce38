#include "cli/rules_bench.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "check/bench_scan.h"
#include "cli/arguments.h"
#include "model/spec.h"
#include "run/machine.h"
#include "run/step_bench.h"
#include "store/benches.h"

namespace mdnlab {

namespace {

ScanShape shape_of(const std::string& text) {
  const std::vector<std::string> words = split(text, ',');
  ScanShape shape;
  std::int64_t* sizes[] = {&shape.B, &shape.T, &shape.H, &shape.K, &shape.V};
  bool good = words.size() == std::size(sizes);
  for (std::size_t i = 0; good && i < std::size(sizes); ++i)
    good = parse_integer(words[i], *sizes[i]) && *sizes[i] > 0;
  if (!good)
    throw Error(
        Code::usage,
        {.what = "--shape is no shape", .found = quote(text), .expected = "B,T,H,K,V, e.g. 1,1024,4,64,64"});
  return shape;
}

std::vector<std::string> parts_of(const std::string& text) {
  const std::string known[] = {"scan", "loop", "training"};
  std::vector<std::string> parts = split(text, ',');
  for (const std::string& part : parts) {
    if (std::ranges::find(known, part) == std::end(known)) {
      throw Error(Code::usage,
                  {.what = "unknown part", .found = quote(part), .hint = suggestion(part, known)});
    }
  }
  return parts;
}

std::vector<BenchRow> training_rows(std::span<const std::string> rules, const Plugins& plugins,
                                    std::int64_t threads) {
  const StepShape shape{.threads = threads};
  std::vector<BenchRow> rows;
  for (const StepTiming& timing : time_training_steps(rules, plugins, shape)) {
    const std::int64_t width = shape.hidden_size / shape.num_heads;
    rows.push_back(
        {.rule = timing.rule,
         .device = "cpu",
         .dtype = "f32",
         .shape = {shape.batch, shape.tokens, shape.num_heads, width, width},
         .direction = "training step",
         .median_ms = timing.median_ms,
         .spread_ms = timing.spread_ms,
         .tokens_per_second = 1e3 * static_cast<double>(shape.batch * shape.tokens) / timing.median_ms});
  }
  return rows;
}

Table table_of(const std::vector<BenchRow>& rows) {
  // Ratios within this run: a scan to its own token-by-token loop, a training step to attention's.
  const auto find = [&](const std::string& rule, const std::string& direction) {
    const auto row = std::ranges::find_if(
        rows, [&](const BenchRow& r) { return r.rule == rule && r.direction == direction; });
    return row == rows.end() ? 0.0 : row->median_ms;
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
    table.rows.push_back(
        {row.rule, row.direction,
         fmt::format("{},{},{},{},{}", row.shape.B, row.shape.T, row.shape.H, row.shape.K, row.shape.V),
         row.dtype, fmt::format("{:.3f}", row.median_ms), fmt::format("{:.3f}", row.spread_ms),
         fmt::format("{:.1f}", row.peak_mib), fmt::format("{:.0f}", row.tokens_per_second), ratio});
  }
  return table;
}

void store_rows(const std::filesystem::path& database, const std::vector<BenchRow>& rows,
                std::int64_t threads) {
  Store store = Store::open(database);
  const std::int64_t machine = ensure_machine(store, machine_facts()),
                     build = ensure_build(store, build_facts());
  for (const BenchRow& row : rows) {
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
                      .settings_json = fmt::format(R"({{"threads":{}}})", threads)});
  }
}

}  // namespace

int rules_bench(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab rules bench [NAME…] [options]",
       .about =
           "Times rules: the chunkwise scan (fwd; fwd+bwd; step: one token of decoding), the same by a token-by-token\n"
           "loop under autograd, and whole training steps (hidden 256, 4 layers, B4 T512). Medians of seven or more.",
       .examples = "  mdnlab rules bench --device cpu --json\n"
                   "  mdnlab rules bench mdn --parts scan,loop\n"
                   "  mdnlab rules bench attention gated_deltanet mdn --parts training --db bench.db\n"});
  arguments.positional("NAME", "rules; all when none is named", 0, -1);
  arguments.option("parts", "of scan, loop, training", "scan,loop,training");
  arguments.option("shape", "B,T,H,K,V of the scan", "1,1024,4,64,64");
  arguments.option("dtype", "of the scan: f32, f64 or bf16", "f32");
  arguments.option("threads", "CPU threads", "1");
  arguments.add_device();
  arguments.option("db", "store the rows in this database");
  arguments.add_plugins();
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;
  arguments.check_device();
  const Plugins plugins = arguments.plugins();
  const ScanShape shape = shape_of(arguments.text("shape"));
  const std::vector<std::string> parts = parts_of(arguments.text("parts"));
  const std::int64_t threads = arguments.integer("threads", 1);
  const auto wants = [&](const char* part) { return std::ranges::find(parts, part) != parts.end(); };
  std::vector<std::string> names = arguments.texts("NAME");
  if (names.empty()) {
    for (const Plugin& plugin : plugins.all()) names.emplace_back(plugin.info().name);
  }
  at::set_num_threads(static_cast<int>(threads));
  at::globalContext().setFlushDenormal(true);

  std::vector<BenchRow> rows;
  for (const std::string& name : names) {
    const Capabilities& capabilities = plugins.find(name).info().capabilities;
    if (!capabilities.scans) continue;  // no recurrence, no scan
    const ScanBench bench{.rule = name,
                          .has_delta = capabilities.delta,
                          .has_momentum = capabilities.momentum,
                          .has_channel_decay = capabilities.decay == std::string_view("channel"),
                          .shape = shape,
                          .dtype = dtype_of(arguments.text("dtype"))};
    if (wants("scan")) std::ranges::move(bench_scan(bench), std::back_inserter(rows));
    if (wants("loop")) rows.emplace_back(bench_loop(bench));
  }
  if (wants("training")) std::ranges::move(training_rows(names, plugins, threads), std::back_inserter(rows));

  if (arguments.has("db")) store_rows(arguments.text("db"), rows, threads);
  if (arguments.has("json")) {
    const MachineFacts machine = machine_facts();
    nlohmann::ordered_json json{{"machine",
                                 {{"host", machine.host},
                                  {"cpu", machine.cpu},
                                  {"cpu_cores", machine.cpu_cores},
                                  {"threads", threads}}},
                                {"benches", nlohmann::ordered_json::array()}};
    for (const BenchRow& row : rows) json["benches"].push_back(nlohmann::ordered_json(to_json(row)));
    print(json.dump(2) + "\n");
  } else {
    print(table_of(rows).text(arguments.format()));
  }
  return 0;
}

}  // namespace mdnlab
