#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/rules_apply.h"
#include "cli/rules_bench.h"
#include "cli/rules_new.h"

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
    throw Error(Code::usage, {.what = "--num-heads does not divide --hidden-size", .found = std::to_string(shape.num_heads),
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

constexpr const char* usage = "mdnlab rules list | show NAME | bench [NAME…] | apply RULE | new NAME";

int run(std::span<const std::string> words) {
  const std::string verb = words.empty() ? "" : words[0];
  if (verb == "list") return list(words.subspan(1));
  if (verb == "show") return show(words.subspan(1));
  if (verb == "bench") return rules_bench(words.subspan(1));
  if (verb == "apply") return rules_apply(words.subspan(1));
  if (verb == "new") return rules_new(words.subspan(1));
  if (verb == "--help" || verb == "-h") {
    print(fmt::format(
        "usage: {}\n\n  list   every rule that can be loaded\n  show   a rule's options, parameters and state\n"
        "  bench  time the rules\n  apply  run a rule's bare recurrence on tensors of a file\n"
        "  new    write a rule of your own as a plugin\n\nEach has its own --help.\n\nexamples:\n  mdnlab rules list\n  mdnlab rules show mdn\n"
        "  mdnlab rules bench --device cpu --json\n",
        usage));
    return 0;
  }
  const std::string verbs[] = {"list", "show", "bench", "apply", "new"};
  throw Error(Code::usage, {.what = verb.empty() ? "rules: what?" : "rules: unknown word",
                            .found = verb.empty() ? "" : quote(verb),
                            .hint = (verb.empty() ? "" : suggestion(verb, verbs) + "; ") +
                                    std::string("usage: ") + usage});
}

}  // namespace

const Command rules_command{"rules", "list, show and time the recurrence rules", run};

}  // namespace mdnlab
