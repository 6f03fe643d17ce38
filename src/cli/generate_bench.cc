#include "cli/generate_bench.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "check/decoding_bench.h"

namespace mdnlab {

void generate_bench(const LanguageModel& model, const GenerateBench& bench) {
  const DecodingTimes times = time_decoding(
      model,
      {.sequences = bench.sequences, .prompt_tokens = bench.prompt_tokens, .step_tokens = bench.step_tokens});
  const double prompt_rate = 1e3 * static_cast<double>(bench.prompt_tokens) / times.prompt.median_ms,
               rate = 1e3 * static_cast<double>(bench.sequences) / times.step.median_ms,
               gbps = 1e-6 * static_cast<double>(times.bytes) / times.step.median_ms;
  if (bench.json) {
    print(nlohmann::ordered_json{{"model", bench.model},
                                 {"device", model.device().str()},
                                 {"sequences", bench.sequences},
                                 {"prompt_tokens", bench.prompt_tokens},
                                 {"prompt_ms", times.prompt.median_ms},
                                 {"prompt_spread_ms", times.prompt.spread_ms},
                                 {"prompt_tokens_per_second", prompt_rate},
                                 {"step_ms", times.step.median_ms},
                                 {"step_spread_ms", times.step.spread_ms},
                                 {"tokens_per_second", rate},
                                 {"step_bytes", times.bytes},
                                 {"step_gb_per_second", gbps},
                                 {"copy_gb_per_second", times.copied_gbps}}
              .dump() +
          "\n");
    return;
  }
  print(fmt::format("prompt of {} tokens   {:.2f} ms ± {:.2f}, {} tokens/s\n", grouped(bench.prompt_tokens),
                    times.prompt.median_ms, times.prompt.spread_ms,
                    grouped(static_cast<std::int64_t>(prompt_rate))));
  print(fmt::format("a token of {} sequence{}   {:.3f} ms ± {:.3f}, {} tokens/s\n", bench.sequences,
                    bench.sequences == 1 ? "" : "s", times.step.median_ms, times.step.spread_ms,
                    grouped(static_cast<std::int64_t>(rate))));
  print(fmt::format("weights and state of a step   {}, {:.1f} GB/s", bytes_text(times.bytes), gbps));
  if (times.copied_gbps > 0) {
    print(fmt::format(", {:.1f} % of the {:.0f} GB/s of a copy", 100 * gbps / times.copied_gbps,
                      times.copied_gbps));
  }
  print("\n");
}

}  // namespace mdnlab
