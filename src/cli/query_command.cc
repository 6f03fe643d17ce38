#include <csignal>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "store/named_query.h"
#include "store/query.h"

namespace mdnlab {

namespace {

volatile std::sig_atomic_t stopped = 0;

int run(std::span<const std::string> words) {
  Arguments arguments({.usage = "mdnlab query \"SELECT …\" | NAME | --list [options]",
                       .about =
                           "Runs one reading SQL statement, or a named one of analysis/, on the database. "
                           "Nothing can be written and no other file be reached.",
                       .examples = "  mdnlab query --list\n"
                                   "  mdnlab query leaderboard\n"
                                   "  mdnlab query \"select name, state, step from run\" --csv\n"});
  arguments.positional("SQL", "a statement or the name of a query", 0);
  arguments.flag("list", "name the queries that come with the program");
  arguments.add_database();
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;
  if (arguments.has("list") || !arguments.has("SQL")) {
    Table table{{{"name"}, {"answers"}, {"from"}}, {}};
    for (const NamedQuery& named : named_queries())
      table.rows.push_back({named.name, named.summary, named.origin});
    print(table.text(arguments.format()));
    return arguments.has("list") ? 0 : static_cast<int>(Code::usage);
  }
  const std::string word = arguments.text("SQL");
  std::signal(SIGINT, [](int) { stopped = 1; });
  const Table table = query(arguments.database(), is_query_name(word) ? named_query(word).sql : word,
                            {.stop = [] { return stopped != 0; }});
  print(table.text(arguments.format()));
  return 0;
}

}  // namespace

const Command query_command{"query", "ask the database: SQL, or a named query", run};

}  // namespace mdnlab
