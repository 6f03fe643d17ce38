#include <fmt/format.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/plan_words.h"
#include "cli/run_profile.h"
#include "run/runner.h"

namespace mdnlab {

namespace {

struct Places {
  std::vector<c10::Device> devices;
  std::int64_t jobs;  // on each
};

Places places(const Arguments& arguments) {
  if (!arguments.has("jobs-per-device"))
    return {{arguments.device()}, arguments.has("jobs") ? arguments.integer("jobs", 1) : 1};
  const std::int64_t jobs = arguments.integer("jobs-per-device", 1);
  if (arguments.has("jobs")) {
    throw Error(Code::usage, {.what = "--jobs and --jobs-per-device do not go together",
                              .hint = "--jobs is of one device, --jobs-per-device of each GPU"});
  }
  if (arguments.text("device") == "cpu") {
    throw Error(Code::usage, {.what = "--jobs-per-device is for GPUs",
                              .found = "--device cpu",
                              .hint = "--jobs N runs several on the CPU"});
  }
  return {arguments.gpus(), jobs};
}

int run(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab run FILE.yaml [options]",
       .about = "Plans the sweep of FILE.yaml and runs what is not done, each run from its last checkpoint. "
                "Ctrl-C ends each run after its step, with a checkpoint; the same command goes on.",
       .examples = "  mdnlab run experiments/quickstart.yaml --jobs 2\n"
                   "  mdnlab run experiments/quickstart.yaml --only rule.name=mdn\n"
                   "  mdnlab run sweep.yaml --device cuda:1\n"
                   "  mdnlab run sweep.yaml --jobs-per-device 2        # on every GPU\n"
                   "  mdnlab run sweep.yaml --db results.db --shard 0/4\n"
                   "  mdnlab run sweep.yaml --only rule.name=mdn --profile traces\n"});
  arguments.positional("FILE", "the experiment");
  add_plan_words(arguments);
  arguments.add_database();
  arguments.option("jobs N", "runs at a time, each in a worker process of its own (default 1)");
  arguments.option("jobs-per-device N",
                   "runs at a time on each GPU: on all with --device auto or cuda, on one with cuda:N");
  arguments.option("profile FOLDER",
                   "instead of training: where the time of a step of each run goes, and a trace for a viewer");
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;

  const std::filesystem::path file = arguments.text("FILE");
  const auto [devices, jobs] = places(arguments);
  const std::vector<PlannedRun> plan = read_plan(arguments, arguments.plugins());
  if (arguments.has("profile")) {
    profile_plan(plan, arguments, arguments.text("profile"));
    return 0;
  }
  const RunnerResult result = run_plan(plan, {.database = arguments.database(),
                                              .base = std::filesystem::absolute(file).parent_path(),
                                              .plugin_words = arguments.plugin_words(),
                                              .devices = devices,
                                              .jobs_per_device = jobs});
  note(fmt::format("runs: {} planned, {} done before, {} done now, {} failed", plan.size(),
                   result.done_before, result.done, result.failed));
  if (result.exit_code == static_cast<int>(Code::interrupted))
    note("interrupted: the same command goes on from the checkpoints");
  if (result.exit_code == static_cast<int>(Code::store))
    note("stopped: once its cause is mended, the same command goes on");
  if (result.failed > 0) note("`mdnlab status` says what failed");
  return result.exit_code;
}

}  // namespace

const Command run_command{"run", "plan a sweep and run what is not done", run};

}  // namespace mdnlab
