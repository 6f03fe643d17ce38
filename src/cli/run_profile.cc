#include "cli/run_profile.h"

#include <fmt/format.h>

#include <map>

#include "base/log.h"
#include "run/profile.h"

namespace mdnlab {

namespace {

constexpr std::size_t kShownOperations = 12, kShownName = 38;

// Empty `run`: for people, one table a run.
void add_rows(Table& table, const std::string& run, const StepProfile& step) {
  const auto add = [&](const std::string& kind, std::string name, std::int64_t calls, double ms) {
    if (run.empty() && name.size() > kShownName) name = name.substr(0, kShownName - 3) + "...";
    table.rows.push_back({kind, name, std::to_string(calls), fmt::format("{:.3f}", ms),
                          fmt::format("{:.1f}", 100 * ms / step.step_ms)});
    if (!run.empty()) table.rows.back().insert(table.rows.back().begin(), run);
  };
  std::map<std::string, ProfiledOperation> kinds;
  for (const ProfiledOperation& operation : step.operations) {
    kinds[operation.kind].calls += operation.calls;
    kinds[operation.kind].ms += operation.ms;
  }
  add("step", "", 1, step.step_ms);
  add("idle", "", 0, step.idle_ms);
  for (const auto& [kind, sum] : kinds) add(kind, "", sum.calls, sum.ms);
  for (std::size_t i = 0; i < step.operations.size() && (!run.empty() || i < kShownOperations); ++i) {
    const ProfiledOperation& operation = step.operations[i];
    add(operation.kind, operation.name, operation.calls, operation.ms);
  }
}

}  // namespace

void profile_plan(const std::vector<PlannedRun>& plan, const Arguments& arguments,
                  const std::filesystem::path& folder) {
  const Plugins plugins = arguments.plugins();
  const c10::Device device = arguments.device();
  const TableFormat format = arguments.format();
  std::filesystem::create_directories(folder);
  const Table empty{{{"kind"}, {"operation"}, {"calls", true}, {"ms", true}, {"percent", true}}, {}};
  Table all = empty;
  all.columns.insert(all.columns.begin(), {"run"});
  for (const PlannedRun& run : plan) {
    const std::filesystem::path trace = folder / (run.row.key.substr(0, 8) + ".json");
    const StepProfile step = profile_step(run, plugins, device, trace);
    note(run.row.name + ": every event of the step is in " + trace.string());
    if (format == TableFormat::plain) {
      Table table = empty;
      add_rows(table, "", step);
      print(table.text(format) + (&run == &plan.back() ? "" : "\n"));
    } else {
      add_rows(all, run.row.name, step);
    }
  }
  if (format != TableFormat::plain) print(all.text(format));
}

}  // namespace mdnlab
