#include <fmt/format.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/rules_apply.h"
#include "cli/rules_bench.h"
#include "cli/rules_check.h"
#include "cli/rules_new.h"
#include "cli/rules_show.h"
#include "cli/rules_spectrum.h"

namespace mdnlab {

namespace {

int list(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab rules list [options]",
       .about =
           "Prints every rule that can be loaded, and the modules that were refused; with --json and --csv "
           "also how its state grows, its version and its file.",
       .examples = "  mdnlab rules list\n  mdnlab rules list --plugin build/my_rule.so --json\n"});
  arguments.add_plugins();
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;
  const Plugins plugins = arguments.plugins();
  const TableFormat format = arguments.format();
  Table table{
      {{"rule"}, {"delta"}, {"momentum"}, {"decay"}, {"summary"}, {"state"}, {"version", true}, {"file"}},
      {}};
  if (format == TableFormat::plain) table.columns.resize(5);  // a terminal's width
  for (const Plugin& plugin : plugins.all()) {
    const PluginInfo& info = plugin.info();
    const Capabilities& can = info.capabilities;
    std::vector<std::string> row{info.name,
                                 can.delta ? "yes" : "no",
                                 can.momentum ? "yes" : "no",
                                 can.decay,
                                 info.summary,
                                 can.constant_state ? "constant" : "grows",
                                 std::to_string(info.rule_version),
                                 plugin.file().string()};
    row.resize(table.columns.size());
    table.rows.push_back(std::move(row));
  }
  print(table.text(format));
  for (const std::string& refusal : plugins.refusals()) warn("refused: " + refusal);
  return plugins.refusals().empty() ? 0 : static_cast<int>(Code::machine);
}

struct Verb {
  const char* name;
  const char* words;
  const char* summary;
  int (*run)(std::span<const std::string> words);
};
constexpr Verb kVerbs[] = {
    {"list", "", "every rule that can be loaded", list},
    {"show", "NAME", "a rule's options, parameters and state", rules_show},
    {"check", "[NAME | FILE.so]…", "prove rules: gradients, state, causality", rules_check},
    {"bench", "[NAME…]", "time the rules", rules_bench},
    {"apply", "RULE", "run a rule's bare recurrence on tensors of a file", rules_apply},
    {"spectrum", "RULE", "how stable a rule is within its gates", rules_spectrum},
    {"new", "NAME", "write a rule of your own as a plugin", rules_new},
};

std::string usage() {
  std::vector<std::string> verbs;
  for (const Verb& verb : kVerbs) verbs.emplace_back(verb.name);
  return "mdnlab rules " + join(verbs, " | ");
}

int run(std::span<const std::string> words) {
  const std::string word = words.empty() ? "" : words[0];
  std::vector<std::string> names;
  for (const Verb& verb : kVerbs) {
    if (word == verb.name) return verb.run(words.subspan(1));
    names.emplace_back(verb.name);
  }
  if (word == "--help" || word == "-h") {
    std::string text = "usage: " + usage() + "\n\n";
    for (const Verb& verb : kVerbs)
      text += fmt::format("  {:<23} {}\n", std::string(verb.name) + " " + verb.words, verb.summary);
    print(text +
          "\nEach has its own --help.\n\nexamples:\n  mdnlab rules list\n  mdnlab rules show mdn\n"
          "  mdnlab rules check mdn\n  mdnlab rules bench --device cpu --json\n");
    return 0;
  }
  throw Error(Code::usage, {.what = word.empty() ? "rules: what?" : "rules: unknown word",
                            .found = word.empty() ? "" : quote(word),
                            .hint = word.empty() ? "usage: " + usage() : suggestion(word, names)});
}

}  // namespace

const Command rules_command{"rules", "list, show, prove and time the recurrence rules", run};

}  // namespace mdnlab
