#include "cli/rules_show.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "base/wrapped.h"
#include "cli/arguments.h"

namespace mdnlab {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t columns = 80;

std::string values_of(const Field& field) {
  switch (field.type) {
    case Type::boolean: return "true or false";
    case Type::integer: return trim("whole number " + range_text(field));
    case Type::real: return trim("number " + range_text(field));
    case Type::text: return field.choices ? join(split(field.choices, '|'), ", ") : "text";
    case Type::integers:
    case Type::reals:
    case Type::texts: return trim("list " + range_text(field));
  }
  return "";
}

std::string option_list(std::span<const Field> fields) {
  std::string text;
  for (const Field& field : fields) {
    text += fmt::format("  {} = {}   ({})\n", field.name, field.preset ? field.preset : "unset",
                        values_of(field)) +
            wrapped("      " + std::string(field.doc), columns) + "\n";
  }
  return text.empty() ? "  none\n" : text;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : shape) sizes.push_back(std::to_string(size));
  return join(sizes, "×");
}

// What a layer learns and carries.
struct Layer {
  std::vector<ParameterSpec> learned;
  std::vector<StateSpec> carried;
  std::int64_t parameters = 0, state_bytes = 0;

  Layer(const Rule& rule, std::int64_t context)
      : learned(rule.parameters()), carried(rule.state(context, at::kFloat)) {
    for (const ParameterSpec& spec : learned) parameters += spec.count();
    for (const StateSpec& spec : carried) state_bytes += spec.bytes();
  }
};

std::string text_of(const Plugin& plugin, const LayerShape& shape, const Layer& layer) {
  const PluginInfo& info = plugin.info();
  Table learned{{{"parameter"}, {"shape"}, {"count", true}, {"initial value"}, {"decays"}}, {}};
  for (const ParameterSpec& spec : layer.learned) {
    learned.rows.push_back({spec.name, shape_text(spec.shape), std::to_string(spec.count()),
                            spec.initial.text(), spec.decays ? "yes" : "no"});
  }
  Table carried{{{"tensor"}, {"shape"}, {"bytes", true}}, {}};
  for (const StateSpec& spec : layer.carried)
    carried.rows.push_back({spec.name, shape_text(spec.shape), std::to_string(spec.bytes())});
  return fmt::format(
      "{} (version {}): {}\n{}\n\nOptions, with their defaults\n{}\n"
      "Learned, with hidden_size {} and {} heads of {}: {} parameters\n{}\n"
      "Carried from token to token, float32: {} bytes\n{}",
      info.name, info.rule_version, info.summary, plugin.file().string(), option_list(plugin.options()),
      shape.hidden_size, shape.num_heads, shape.head_dim, grouped(layer.parameters),
      learned.text(TableFormat::plain), grouped(layer.state_bytes), carried.text(TableFormat::plain));
}

Json json_of(const Plugin& plugin, const Layer& layer) {
  const PluginInfo& info = plugin.info();
  Json options = Json::array(), learned = Json::array(), carried = Json::array();
  for (const Field& field : plugin.options()) {
    options.push_back({{"name", field.name},
                       {"default", field.preset ? Json(field.preset) : Json()},
                       {"values", values_of(field)},
                       {"meaning", field.doc}});
  }
  for (const ParameterSpec& spec : layer.learned) {
    learned.push_back({{"name", spec.name},
                       {"shape", spec.shape},
                       {"initial", spec.initial.text()},
                       {"weight_decay", spec.decays}});
  }
  for (const StateSpec& spec : layer.carried)
    carried.push_back({{"name", spec.name}, {"shape", spec.shape}, {"bytes", spec.bytes()}});
  return {{"name", info.name},
          {"version", info.rule_version},
          {"summary", info.summary},
          {"file", plugin.file().string()},
          {"options", std::move(options)},
          {"parameters", layer.parameters},
          {"learned", std::move(learned)},
          {"state_bytes", layer.state_bytes},
          {"carried", std::move(carried)}};
}

}  // namespace

int rules_show(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab rules show NAME [options]",
       .about = "Prints a rule's options, and what a layer of it learns and carries at a given size.",
       .examples = "  mdnlab rules show mdn\n"
                   "  mdnlab rules show mamba2 --hidden-size 1024 --set state_size=64\n"
                   "  mdnlab rules show mdn --set gate_constraint=escrow --json\n"});
  arguments.positional("NAME", "a rule of `mdnlab rules list`");
  arguments.list("set KEY=VALUE", "an option of the rule");
  arguments.option("hidden-size N", "of the model", "256");
  arguments.option("num-heads N", "of the layer", "4");
  arguments.option("context N", "tokens, for a state that grows", "1024");
  arguments.add_plugins();
  arguments.flag("json", "print JSON");
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
  const Layer layer(*rule, arguments.integer("context", 1));
  print(arguments.has("json") ? json_of(plugin, layer).dump(2) + "\n" : text_of(plugin, shape, layer));
  return 0;
}

}  // namespace mdnlab
