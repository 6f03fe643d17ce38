#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/plan_words.h"
#include "run/yaml_reference.h"

namespace mdnlab {

namespace {

std::string state_of(Store* store, const std::string& key) {
  if (!store) return "new";
  const std::optional<RunRow> run = find_run(*store, key);
  return run ? std::string(state_name(run->state)) : "new";
}

nlohmann::ordered_json plan_json(const std::vector<PlannedRun>& plan, Store* store) {
  nlohmann::ordered_json root{{"schema", 1}, {"runs", nlohmann::ordered_json::array()}};
  for (const PlannedRun& run : plan) {
    root["runs"].push_back({{"index", run.index},
                            {"key", run.row.key},
                            {"name", run.row.name},
                            {"rule", run.row.rule},
                            {"kernel", run.kernel},
                            {"parameters", run.row.parameters},
                            {"state_bytes", run.row.state_bytes},
                            {"flops_per_token", run.flops_per_token},
                            {"tokens_per_step", run.row.tokens_per_step},
                            {"memory_bytes", run.memory_bytes},
                            {"state", state_of(store, run.row.key)},
                            {"config", nlohmann::ordered_json::parse(run.row.config_json)}});
  }
  return root;
}

Table plan_table(const std::vector<PlannedRun>& plan, Store* store) {
  Table table{{{"index", true},
               {"key"},
               {"run"},
               {"rule"},
               {"kernel"},
               {"parameters", true},
               {"state_bytes", true},
               {"mflops_per_token", true},
               {"tokens", true},
               {"memory_mib", true},
               {"state"}},
              {}};
  for (const PlannedRun& run : plan) {
    table.rows.push_back({std::to_string(run.index), run.row.key.substr(0, 8), run.row.name, run.row.rule,
                          run.kernel, std::to_string(run.row.parameters), std::to_string(run.row.state_bytes),
                          fmt::format("{:.2f}", run.flops_per_token / 1e6),
                          std::to_string(run.row.steps * run.row.tokens_per_step),
                          std::to_string(run.memory_bytes >> 20), state_of(store, run.row.key)});
  }
  return table;
}

int run(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab plan FILE.yaml [options]",
       .about =
           "Prints every run of the sweep: key, rule, kernel, parameters, state bytes, training FLOPs a token, "
           "tokens, a memory estimate, and where the run stands in the database. Runs nothing.",
       .examples = "  mdnlab plan experiments/quickstart.yaml\n"
                   "  mdnlab plan experiments/quickstart.yaml --json --only rule.name=mdn\n"
                   "  mdnlab plan FILE.yaml --device cuda      # which kernels would run there\n"
                   "  mdnlab plan --reference\n"});
  arguments.positional("FILE", "the experiment", 0);
  add_plan_words(arguments);
  arguments.add_database();
  arguments.add_formats();
  arguments.flag("reference", "print instead every section and option that a FILE may hold, as Markdown");
  if (!arguments.parse(words)) return 0;
  if (arguments.has("reference")) {
    print(yaml_reference(arguments.plugins()));
    return 0;
  }
  if (!arguments.has("FILE"))
    throw Error(Code::usage, {.what = "FILE is missing", .hint = "usage: mdnlab plan FILE.yaml [options]"});
  const std::vector<PlannedRun> plan = read_plan(arguments, arguments.plugins());
  std::optional<Store> store;
  if (std::filesystem::exists(arguments.database())) store = Store::open_reading(arguments.database());
  Store* known = store ? &*store : nullptr;
  print(arguments.has("json") ? plan_json(plan, known).dump(2) + "\n"
                              : plan_table(plan, known).text(arguments.format()));
  return 0;
}

}  // namespace

const Command plan_command{"plan", "print every run of a sweep: key, sizes, cost, state", run};

}  // namespace mdnlab
