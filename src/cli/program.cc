#include "cli/program.h"

#include <fmt/format.h>

#include <exception>
#include <new>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace mdnlab {

namespace {

std::string overview(std::span<const Command* const> commands) {
  std::string text =
      "usage: mdnlab COMMAND …\n\n"
      "A laboratory for linear-attention recurrence rules.\n\n";
  for (const Command* command : commands) {
    if (!command->is_internal) text += fmt::format("  {:<8} {}\n", command->name, command->summary);
  }
  return text +
         "\n`mdnlab COMMAND --help` explains one, with examples. Results go to stdout,\n"
         "messages to stderr. Exit codes: 0 ok, 1 a run or check failed, 2 usage or input,\n"
         "3 machine or plugin, 4 database or disk, 130 interrupted.\n\n"
         "examples:\n"
         "  mdnlab run experiments/quickstart.yaml --jobs 2\n"
         "  mdnlab report\n"
         "  mdnlab rules list\n";
}

}  // namespace

int dispatch(std::span<const Command* const> commands, std::span<const std::string> words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    print(overview(commands));
    return words.empty() ? static_cast<int>(Code::usage) : 0;
  }
  std::vector<std::string> names;
  for (const Command* command : commands) {
    if (words[0] == command->name) return command->run(words.subspan(1));
    if (!command->is_internal) names.emplace_back(command->name);
  }
  throw Error(Code::usage,
              {.what = "unknown command", .found = quote(words[0]), .hint = suggestion(words[0], names)});
}

int guarded(const std::function<int()>& body) {
  try {
    return body();
  } catch (const Error& error) {
    end_progress();
    note(std::string("mdnlab: ") + error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    end_progress();
    note("mdnlab: out of memory");
    return static_cast<int>(Code::machine);
  } catch (const std::exception& error) {
    end_progress();
    note(std::string("mdnlab: ") + split(error.what(), '\n')[0]);
    return static_cast<int>(Code::failed);
  }
}

}  // namespace mdnlab
