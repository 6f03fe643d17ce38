#include "report/report.h"

#include <fmt/format.h>

#include <functional>
#include <future>

#include "base/text.h"
#include "report/sections.h"

namespace mdnlab {

Report make_report(const std::filesystem::path& database, const Plugins& plugins,
                   const std::optional<std::filesystem::path>& peers) {
  Store store = Store::open_reading(database);
  store.sql().script("begin");  // one moment of it: runs may go on meanwhile
  const auto number_of = [&](const char* table) {
    return store.sql().integer(fmt::format("select count(*) from {}", table));
  };
  Report report{.title = "Report of " + database.filename().string()};
  if (const std::int64_t runs = number_of("run"), scores = number_of("evaluation"),
      benches = number_of("bench");
      runs + scores + benches == 0) {
    report.summary =
        "The database has no results yet: `mdnlab run FILE.yaml` trains what a file names and stores what it measures.";
  } else {
    Statement newest = store.sql().query("select coalesce(max(ended_at), '') from run");
    newest.step();
    report.summary = fmt::format(
        "{} runs, {} of them done, {} scores, {} kernel timings{}.", grouped(runs),
        grouped(number_of("run where state = 'done'")), grouped(scores), grouped(benches),
        newest.text(0).empty() ? "" : "; the newest run ended " + newest.text(0).substr(0, 16) + " UTC");
  }
  const Results results = load_results(store);
  // Sections of the results alone are made side by side: their intervals are most of the work.
  const auto start = [&](Section (*make)(const Results&)) {
    return std::async(std::launch::async, make, std::cref(results));
  };
  std::future<Section> leaderboard = start(leaderboard_section), rates = start(rate_section),
                       retention = start(retention_section), influence = start(influence_section),
                       needles = start(needle_section), scores = start(scores_section),
                       position = start(position_section);
  Section loss = loss_section(store, results), stability = stability_section(store, plugins),
          kernels = kernel_section(store, peers), failures = failure_section(store),
          configurations = configuration_section(store);
  const auto add = [&](Section&& section) { report.sections.push_back(std::move(section)); };
  for (std::future<Section>* made : {&leaderboard, &rates, &retention, &influence, &needles, &scores})
    add(made->get());
  add(std::move(loss));
  add(position.get());
  for (Section* made : {&stability, &kernels, &failures, &configurations}) add(std::move(*made));
  return report;
}

}  // namespace mdnlab
