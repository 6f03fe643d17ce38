#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/plan_tables.h"
#include "cli/plan_words.h"
#include "run/yaml_reference.h"

namespace mdnlab {

namespace {

using Memory = std::optional<TrainingMemory>;

// Many runs of a sweep differ in nothing that takes memory.
class Rehearsals {
 public:
  explicit Rehearsals(const Plugins& plugins) : plugins_(plugins) {}

  Memory of(const PlannedRun& run, c10::DeviceType device) {
    nlohmann::json config = nlohmann::json::parse(run.row.config_json);
    config.erase("name");
    config.erase("eval");
    for (const char* option : {"betas", "checkpoint_every", "eps", "evaluate_every", "lr", "max_norm",
                               "min_lr_ratio", "seed", "steps", "warmup_steps", "weight_decay"})
      config["train"].erase(option);
    const auto [known, is_new] = known_.try_emplace({config.dump(), device});
    if (is_new) known->second = training_memory(run.config, plugins_, *run.task, run.vocab_size, device);
    return known->second;
  }

 private:
  const Plugins& plugins_;
  std::map<std::pair<std::string, c10::DeviceType>, Memory> known_;
};

int run(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab plan FILE.yaml [options]",
       .about =
           "Prints every run of the sweep: rule, parameters, bytes of state to go on decoding, training FLOPs a "
           "token, tokens a step, memory at the fullest moment; then key, where the run stands in the database, "
           "kernel and name. Runs nothing.",
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
  std::optional<Store> store;
  if (std::filesystem::exists(arguments.database())) store = Store::open_reading(arguments.database());
  const c10::DeviceType device = rehearsal_of(arguments.device());
  const Plugins plugins = arguments.plugins();
  Rehearsals rehearsals(plugins);
  std::vector<PlanRow> plan;
  for (PlannedRun& run : read_plan(arguments, plugins)) {
    const std::optional<RunRow> known = store ? find_run(*store, run.row.key) : std::nullopt;
    const Memory memory = rehearsals.of(run, device), gpu_memory = rehearsals.of(run, c10::kCUDA);
    plan.push_back(
        {std::move(run), known ? std::string(state_name(known->state)) : "new", memory, gpu_memory});
  }
  if (arguments.has("json")) {
    print(nlohmann::ordered_json{{"schema", 1}, {"runs", plan_json(plan)}}.dump(2) + "\n");
  } else if (arguments.format() == TableFormat::plain) {
    print(plan_text(plan));
  } else {
    print(plan_table(plan).text(arguments.format()));
  }
  return 0;
}

}  // namespace

const Command plan_command{"plan", "print every run of a sweep: key, sizes, cost, state", run};

}  // namespace mdnlab
