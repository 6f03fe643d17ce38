#include "cli/rules_bench.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/bench_report.h"
#include "cli/bench_words.h"
#include "model/spec.h"
#include "run/step_bench.h"

namespace mdnlab {

namespace {

std::vector<std::string> parts_of(const Arguments& arguments, c10::Device device) {
  if (!arguments.has("parts"))
    return device.is_cpu() ? std::vector<std::string>{"scan", "loop", "training"}
                           : std::vector<std::string>{"scan"};
  const std::string known[] = {"scan", "loop", "training"};
  std::vector<std::string> parts = split(arguments.text("parts"), ',');
  for (const std::string& part : parts) {
    if (std::ranges::find(known, part) == std::end(known)) {
      throw Error(Code::usage,
                  {.what = "unknown part", .found = quote(part), .hint = suggestion(part, known)});
    }
    if (part == "training" && !device.is_cpu()) {
      throw Error(Code::usage, {.what = "training steps are timed on the CPU only",
                                .found = "--device " + device.str(),
                                .expected = "--parts scan,loop"});
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

}  // namespace

int rules_bench(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab rules bench [NAME…] [options]",
       .about =
           "Times rules: the chunkwise scan (fwd; fwd+bwd; step: one token of decoding), the same by a "
           "token-by-token loop under autograd, and whole training steps (hidden 256, 4 layers, B4 T512). Medians "
           "with the distance between the quartiles; MiB is the most held beyond inputs, dO, one set of gradients "
           "and one o.\n\n"
           "On a GPU: events, data out of the cache, 32,768 tokens in the heads of published models unless --shape "
           "says otherwise; floor is the share of the least time (operations at 760 TFLOP/s, bytes at 4.3 TB/s: an "
           "H200), sdpa the time beside LibTorch's causal attention with 16 heads of 64, timed in the same run.",
       .examples = "  mdnlab rules bench --device cpu --json\n"
                   "  mdnlab rules bench mdn --parts scan,loop\n"
                   "  mdnlab rules bench mdn --device cuda --shape B8,T4096,H6,K128,V256\n"
                   "  mdnlab rules bench attention gated_deltanet mdn --parts training --db bench.db\n"});
  arguments.positional("NAME", "rules; all when none is named", 0, -1);
  arguments.option("parts LIST", "of scan, loop, training; on a GPU only scan unless named");
  arguments.list("shape SHAPE",
                 "B1,T1024,H4,K64,V64 of the scan, or without the letters; several times at will");
  arguments.option("dtype TYPE", "of the scan: f32, f64, bf16 or f16; else f32, on a GPU bf16");
  arguments.option("kernel NAME",
                   "the scan's kernel: cpu, batched, hopper; else the first that takes the shape");
  arguments.option("repeats N", "timed runs of each scan, 5 or more", "9");
  arguments.option("threads N", "CPU threads", "1");
  arguments.add_device(Device::cpu);
  arguments.option("db FILE", "store the rows in this database");
  arguments.add_plugins();
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;
  const c10::Device device = arguments.device();
  const Plugins plugins = arguments.plugins();
  std::vector<ScanShape> named_shapes;
  for (const std::string& text : arguments.texts("shape")) named_shapes.push_back(parse_shape(text));
  const std::vector<std::string> parts = parts_of(arguments, device);
  const BenchSetting setting{.device = device, .threads = arguments.integer("threads", 1)};
  const auto wants = [&](const char* part) { return std::ranges::find(parts, part) != parts.end(); };
  std::vector<std::string> names = arguments.texts("NAME");
  if (names.empty()) {
    for (const Plugin& plugin : plugins.all()) names.emplace_back(plugin.info().name);
  }
  at::set_num_threads(static_cast<int>(setting.threads));
  at::globalContext().setFlushDenormal(true);

  ScanBench bench{.dtype = dtype_of(arguments.has("dtype") ? arguments.text("dtype")
                                    : device.is_cpu()      ? "f32"
                                                           : "bf16"),
                  .device = device,
                  .kernel = arguments.has("kernel") ? arguments.text("kernel") : "",
                  .repeats = static_cast<int>(arguments.integer("repeats", 5))};
  std::vector<BenchRow> rows;
  std::vector<ScanShape> timed;
  for (const std::string& name : names) {
    const Capabilities& capabilities = plugins.find(name).info().capabilities;
    if (!capabilities.scans) continue;  // no recurrence, no scan
    bench.rule = name;
    bench.cell = {.has_delta = capabilities.delta,
                  .has_momentum = capabilities.momentum,
                  .has_decay = capabilities.decay != std::string_view("none"),
                  .has_channel_decay = capabilities.decay == std::string_view("channel")};
    for (const ScanShape& shape : named_shapes.empty() ? usual_shapes(name, device) : named_shapes) {
      bench.shape = shape;
      timed.push_back(shape);
      if (wants("scan")) std::ranges::move(bench_scan(bench), std::back_inserter(rows));
      if (wants("loop")) rows.emplace_back(bench_loop(bench));
    }
  }
  if (!device.is_cpu() && wants("scan")) {
    for (const ScanShape& shape : attention_shapes(timed)) {
      bench.shape = shape;
      std::ranges::move(bench_attention(bench), std::back_inserter(rows));
    }
  }
  if (wants("training"))
    std::ranges::move(training_rows(names, plugins, setting.threads), std::back_inserter(rows));

  if (arguments.has("db")) store_benches(arguments.text("db"), rows, setting);
  print(arguments.has("json") ? bench_json(rows, setting).dump(2) + "\n"
                              : bench_text(rows, setting, arguments.format()));
  return 0;
}

}  // namespace mdnlab
