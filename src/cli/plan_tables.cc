#include "cli/plan_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/wrapped.h"
#include "run/cards.h"

namespace mdnlab {

namespace {

// 627,984; 417.5 M
std::string count_text(std::int64_t count) {
  if (count < 1'000'000) return grouped(count);
  const std::int64_t tenths = (count + 50'000) / 100'000;
  return grouped(tenths / 10) + fmt::format(".{} M", tenths % 10);
}

// 3.96 M, 2.30 G
std::string flops_text(double flops) {
  return flops < 1e9 ? fmt::format("{:.2f} M", flops / 1e6) : fmt::format("{:.2f} G", flops / 1e9);
}

std::int64_t peak(const std::optional<TrainingMemory>& memory) { return memory ? memory->peak_bytes : 0; }

std::string bytes_or_none(const std::optional<TrainingMemory>& memory) {
  return memory ? std::to_string(memory->peak_bytes) : "";
}

nlohmann::ordered_json json_or_null(const std::optional<TrainingMemory>& memory) {
  if (!memory) return nullptr;
  return memory->peak_bytes;
}

}  // namespace

nlohmann::ordered_json plan_json(const std::vector<PlanRow>& plan) {
  nlohmann::ordered_json runs = nlohmann::ordered_json::array();
  for (const PlanRow& row : plan) {
    const RunPlan& run = row.run.row;
    runs.push_back({{"index", row.run.index},
                    {"key", run.key},
                    {"name", run.name},
                    {"rule", run.rule},
                    {"kernel", row.run.kernel},
                    {"parameters", run.parameters},
                    {"state_bytes", run.state_bytes},
                    {"flops_per_token", row.run.flops_per_token},
                    {"tokens_per_step", run.tokens_per_step},
                    {"steps", run.steps},
                    {"memory_bytes", json_or_null(row.memory)},
                    {"gpu_memory_bytes", json_or_null(row.gpu_memory)},
                    {"state", row.state},
                    {"config", nlohmann::ordered_json::parse(run.config_json)}});
  }
  return runs;
}

Table plan_table(const std::vector<PlanRow>& plan) {
  Table table{{{"index", true},
               {"key"},
               {"name"},
               {"rule"},
               {"kernel"},
               {"parameters", true},
               {"state_bytes", true},
               {"flops_per_token", true},
               {"tokens_per_step", true},
               {"steps", true},
               {"memory_bytes", true},
               {"gpu_memory_bytes", true},
               {"state"}},
              {}};
  for (const PlanRow& row : plan) {
    const RunPlan& run = row.run.row;
    table.rows.push_back({std::to_string(row.run.index), run.key, run.name, run.rule, row.run.kernel,
                          std::to_string(run.parameters), std::to_string(run.state_bytes),
                          fmt::format("{:.0f}", row.run.flops_per_token), std::to_string(run.tokens_per_step),
                          std::to_string(run.steps), bytes_or_none(row.memory), bytes_or_none(row.gpu_memory),
                          row.state});
  }
  return table;
}

std::string plan_text(const std::vector<PlanRow>& plan) {
  Table costs{{{"#", true},
               {"rule"},
               {"params", true},
               {"state", true},
               {"FLOP/tok", true},
               {"tok/step", true},
               {"memory", true}},
              {}};
  Table runs{{{"#", true}, {"key"}, {"status"}, {"kernel"}, {"run"}}, {}};
  for (const PlanRow& row : plan) {
    const std::string number = std::to_string(row.run.index);
    const RunPlan& run = row.run.row;
    costs.rows.push_back({number, run.rule, count_text(run.parameters), bytes_text(run.state_bytes),
                          flops_text(row.run.flops_per_token), grouped(run.tokens_per_step),
                          row.memory ? bytes_text(row.memory->peak_bytes) : "?"});
    runs.rows.push_back({number, run.key.substr(0, 8), row.state, row.run.kernel, run.name});
  }
  std::string text = costs.text(TableFormat::plain) + "\n" + runs.text(TableFormat::plain);
  const auto largest =
      std::ranges::max_element(plan, {}, [](const PlanRow& row) { return peak(row.gpu_memory); });
  constexpr std::int64_t some_size = std::int64_t{1} << 30;
  if (largest != plan.end() && peak(largest->gpu_memory) >= some_size)
    text +=
        "\n" + wrapped(fmt::format("On a GPU run {} takes {}: {}\n", largest->run.index,
                                   bytes_text(peak(largest->gpu_memory)), cards_text(*largest->gpu_memory)),
                       80);
  return text;
}

}  // namespace mdnlab
