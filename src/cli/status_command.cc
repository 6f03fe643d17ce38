#include <fmt/format.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "store/status.h"

namespace mdnlab {

namespace {

int run(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab status [options]",
       .about =
           "Prints every run of the database: state, progress, time left, and the error of those that failed.",
       .examples = "  mdnlab status\n  mdnlab status --db results.db --json\n"});
  arguments.add_database();
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;
  Store store = Store::open_reading(arguments.database());
  const std::vector<StatusRow> rows = status(store);
  if (arguments.has("json")) {
    print(status_json(rows));
    return 0;
  }
  Table table{{{"key"}, {"run"}, {"state"}, {"step", true}, {"steps", true}, {"eta"}, {"error"}}, {}};
  for (const StatusRow& row : rows) {
    table.rows.push_back({row.key.substr(0, 8), row.name, row.state, std::to_string(row.step),
                          std::to_string(row.steps), row.eta_s ? duration(*row.eta_s) : "", row.error});
  }
  print(table.text(arguments.format()));
  return 0;
}

}  // namespace

const Command status_command{"status", "print where the runs stand", run};

}  // namespace mdnlab
