#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/rules_apply.h"
#include "cli/rules_bench.h"
#include "cli/rules_check.h"
#include "cli/rules_new.h"
#include "cli/rules_spectrum.h"

namespace mdnlab {

namespace {

int list(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab rules list [options]",
       .about = "Prints every rule that can be loaded, and the modules that were refused.",
       .examples = "  mdnlab rules list\n  mdnlab rules list --plugin build/my_rule.so --json\n"});
  arguments.add_plugins();
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;
  const Plugins plugins = arguments.plugins();
  Table table{
      {{"rule"}, {"version", true}, {"delta"}, {"momentum"}, {"decay"}, {"state"}, {"summary"}, {"file"}},
      {}};
  for (const Plugin& plugin : plugins.all()) {
    const PluginInfo& info = plugin.info();
    table.rows.push_back({info.name, std::to_string(info.rule_version),
                          info.capabilities.delta ? "yes" : "no", info.capabilities.momentum ? "yes" : "no",
                          info.capabilities.decay, info.capabilities.constant_state ? "constant" : "grows",
                          info.summary, plugin.file().filename().string()});
  }
  print(table.text(arguments.format()));
  for (const std::string& refusal : plugins.refusals()) warn("refused: " + refusal);
  return plugins.refusals().empty() ? 0 : static_cast<int>(Code::machine);
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : shape) sizes.push_back(std::to_string(size));
  return join(sizes, "×");
}

int show(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab rules show NAME [options]",
       .about = "Prints a rule's options, and what a layer of it learns and carries at a given size.",
       .examples =
           "  mdnlab rules show mdn\n  mdnlab rules show mamba2 --hidden-size 1024 --set state_size=64\n"});
  arguments.positional("NAME", "a rule of `mdnlab rules list`");
  arguments.list("set", "KEY=VALUE: an option of the rule");
  arguments.option("hidden-size", "of the model", "256");
  arguments.option("num-heads", "of the layer", "4");
  arguments.option("context", "tokens, for a state that grows", "1024");
  arguments.add_plugins();
  if (!arguments.parse(words)) return 0;
  const Plugins plugins = arguments.plugins();
  const Plugin& plugin = plugins.find(arguments.text("NAME"));
  const Params options = read_settings(arguments.texts("set"), "rule", plugin.options());
  LayerShape shape{.hidden_size = arguments.integer("hidden-size", 1),
                   .num_heads = arguments.integer("num-heads", 1)};
  if (shape.hidden_size % shape.num_heads != 0) {
    throw Error(Code::usage, {.what = "--num-heads does not divide --hidden-size",
                              .found = std::to_string(shape.num_heads),
                              .expected = "a divisor of " + std::to_string(shape.hidden_size)});
  }
  shape.head_dim = shape.hidden_size / shape.num_heads;
  const std::unique_ptr<Rule> rule = plugin.create(options, shape);

  std::string text = fmt::format(
      "{} (version {}): {}\n{}\n\nOptions\n\n{}\nLearned, with hidden_size {} and {} heads of {}\n\n",
      plugin.info().name, plugin.info().rule_version, plugin.info().summary, plugin.file().string(),
      plugin.options().empty() ? "none\n" : field_reference(plugin.options()), shape.hidden_size,
      shape.num_heads, shape.head_dim);
  Table learned{{{"parameter"}, {"shape"}, {"count", true}, {"initial value"}, {"weight decay"}}, {}};
  std::int64_t parameters = 0;
  for (const ParameterSpec& spec : rule->parameters()) {
    learned.rows.push_back({spec.name, shape_text(spec.shape), std::to_string(spec.count()),
                            spec.initial.text(), spec.decays ? "yes" : "no"});
    parameters += spec.count();
  }
  text += learned.text(TableFormat::markdown) +
          fmt::format("\n{} parameters\n\nCarried from token to token, float32\n\n", grouped(parameters));
  Table carried{{{"tensor"}, {"shape"}, {"bytes", true}}, {}};
  std::int64_t bytes = 0;
  for (const StateSpec& spec : rule->state(arguments.integer("context", 1), at::kFloat)) {
    carried.rows.push_back({spec.name, shape_text(spec.shape), std::to_string(spec.bytes())});
    bytes += spec.bytes();
  }
  print(text + carried.text(TableFormat::markdown) + fmt::format("\n{} bytes\n", grouped(bytes)));
  return 0;
}

struct Verb {
  const char* name;
  const char* words;
  const char* summary;
  int (*run)(std::span<const std::string> words);
};
constexpr Verb kVerbs[] = {
    {"list", "", "every rule that can be loaded", list},
    {"show", "NAME", "a rule's options, parameters and state", show},
    {"check", "[NAME | FILE.so]…", "prove rules: gradients, state, documents, causality", rules_check},
    {"bench", "[NAME…]", "time the rules", rules_bench},
    {"apply", "RULE", "run a rule's bare recurrence on tensors of a file", rules_apply},
    {"spectrum", "RULE", "how stable a rule is within its gates", rules_spectrum},
    {"new", "NAME", "write a rule of your own as a plugin", rules_new},
};

std::string usage() {
  std::vector<std::string> verbs;
  for (const Verb& verb : kVerbs) verbs.push_back(trim(std::string(verb.name) + " " + verb.words));
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
    for (const Verb& verb : kVerbs) text += fmt::format("  {:<9} {}\n", verb.name, verb.summary);
    print(text +
          "\nEach has its own --help.\n\nexamples:\n  mdnlab rules list\n  mdnlab rules show mdn\n"
          "  mdnlab rules check mdn\n  mdnlab rules bench --device cpu --json\n");
    return 0;
  }
  throw Error(Code::usage,
              {.what = word.empty() ? "rules: what?" : "rules: unknown word",
               .found = word.empty() ? "" : quote(word),
               .hint = (word.empty() ? "" : suggestion(word, names) + "; ") + "usage: " + usage()});
}

}  // namespace

const Command rules_command{"rules", "list, show, prove and time the recurrence rules", run};

}  // namespace mdnlab
