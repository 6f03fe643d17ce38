#include <fmt/format.h>

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "store/merge.h"

namespace mdnlab {

namespace {

int run(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab merge INTO.db FROM.db…",
       .about =
           "Copies runs, metrics, evaluations and benches of other databases into INTO.db. A run that both have "
           "is kept where it is further on; merging twice changes nothing.",
       .examples = "  mdnlab merge all.db host1.db host2.db\n"});
  arguments.positional("DATABASE", "INTO.db, then each FROM.db", 2, -1);
  if (!arguments.parse(words)) return 0;
  const std::vector<std::string> files = arguments.texts("DATABASE");
  Store into = Store::open(files[0]);
  for (std::size_t i = 1; i < files.size(); ++i) {
    const MergeCount count = merge(into, std::filesystem::path(files[i]));
    print(fmt::format("{}: {} runs added, {} replaced, {} kept; {} evaluations, {} benches\n", files[i],
                      count.runs_added, count.runs_replaced, count.runs_kept, count.evaluations,
                      count.benches));
  }
  return 0;
}

}  // namespace

const Command merge_command{"merge", "join databases that were filled elsewhere", run};

}  // namespace mdnlab
