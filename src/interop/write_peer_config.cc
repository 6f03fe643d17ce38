#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "interop/peer_attention.h"
#include "interop/peer_config.h"

namespace mdnlab {

namespace {

using Json = nlohmann::ordered_json;
using Use = PeerKey::Use;

// The first layer that is not attention, or the first.
std::size_t main_layer(const ModelSpec& spec) {
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    if (!is_attention(spec.layers[i])) return i;
  }
  return 0;
}

Json json_of(const Params& options, const char* name) {
  return options.is_set(name) ? Json::parse(json_text(options.value(name))) : Json();
}

// What the configuration cannot say is found by reading it back.
void check_nothing_is_lost(const ModelSpec& spec, const ModelSpec& read, const PeerLayout& layout) {
  const auto compare = [&](const std::string& where, const Params& options, const Params& others,
                           std::initializer_list<std::string_view> unused) {
    for (const auto& [name, value] : options.values()) {
      if (std::ranges::find(unused, name) != unused.end() ||
          json_text(value) == json_text(others.value(name))) {
        continue;
      }
      throw Error(Code::usage,
                  {.what = fmt::format("{}.{} has no counterpart in a {}", where, name, layout.model_type),
                   .found = json_text(value),
                   .expected = json_text(others.value(name))});
    }
  };
  if (layout.is_mamba) {
    compare("model", spec.options, read.options,
            {"vocab_size", "ratio", "num_heads", "head_dim", "expand_v", "hidden_ratio"});
  } else if (std::string_view(layout.rule) == "attention") {
    compare("model", spec.options, read.options,
            {"vocab_size", "ratio", "num_heads", "head_dim", "expand_v", "conv_size"});
  } else {
    compare("model", spec.options, read.options, {"vocab_size", "ratio"});
  }
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const std::string where = fmt::format("layer {}", i);
    if (spec.layers[i].name != read.layers[i].name) {
      throw Error(Code::usage,
                  {.what = fmt::format("{}'s rule has no counterpart in a {}", where, layout.model_type),
                   .found = spec.layers[i].name,
                   .expected = read.layers[i].name});
    }
    if (!is_attention(spec.layers[i])) {
      compare(where + ": " + spec.layers[i].name, spec.layers[i].options, read.layers[i].options, {});
    } else if (!(attention_facts(spec, i) == attention_facts(read, i))) {
      throw Error(Code::usage, {.what = fmt::format("{}: its attention has no counterpart in a {}", where,
                                                    layout.model_type),
                                .found = spec.layers[i].options.json(),
                                .expected = read.layers[i].options.json()});
    }
  }
}

}  // namespace

const PeerLayout& layout_for(const ModelSpec& spec) {
  std::vector<std::string> rules;
  bool attends = false;
  for (const RuleChoice& layer : spec.layers) {
    if (is_attention(layer)) {
      attends = true;
    } else if (std::ranges::find(rules, layer.name) == rules.end()) {
      rules.push_back(layer.name);
    }
  }
  const std::string rule = rules.empty() ? "attention" : rules[0];
  std::vector<std::string> known;
  for (const PeerLayout& layout : peer_layouts()) {
    known.emplace_back(layout.rule);
    if (rules.size() > 1 || rule != layout.rule || (layout.is_mamba && attends)) continue;
    if (!layout.is_mamba && spec.intermediate_size() == 0) {
      throw Error(Code::usage, {.what = fmt::format("blocks without an MLP have no counterpart in a {}",
                                                    layout.model_type),
                                .found = "intermediate_size 0"});
    }
    return layout;
  }
  throw Error(Code::usage, {.what = "no peer's model has these layers",
                            .found = spec.rule_text(),
                            .expected = "one rule of " + join(known, ", ") +
                                        ", or a hybrid of it with attention (not mamba2)"});
}

std::string peer_config(const ModelSpec& spec, const PeerLayout& layout, std::int64_t vocab_size,
                        const Plugins& plugins) {
  const std::size_t main = main_layer(spec);
  const Params& rule = spec.layers[main].options;
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(rule.values(), [&](const auto& option) { return option.first == name; });
  };
  Json json{
      {"architectures", {layout.architecture}}, {"model_type", layout.model_type}, {"dtype", "float32"}};
  for (const PeerKey& key : layout.keys) {
    const char* here = key.other ? key.other : key.name;
    if (key.use == Use::model) json[key.name] = json_of(spec.options, here);
    if (key.use == Use::fixed) json[key.name] = Json::parse(key.preset);
    if (key.use == Use::rule) json[key.name] = has(here) ? json_of(rule, here) : Json::parse(key.preset);
  }
  json["vocab_size"] = vocab_size;
  if (layout.is_mamba) {
    const double heads = rule.real("expand") * static_cast<double>(spec.hidden_size()) /
                         static_cast<double>(rule.integer("head_width"));
    json["num_heads"] = static_cast<std::int64_t>(heads);
    if (rule.integer("norm_groups") != rule.integer("n_groups")) {
      json.erase("rmsnorm");
      json["rms_norm"] = true;
    }
  } else if (std::string_view(layout.rule) == "attention") {
    const AttentionFacts facts = attention_facts(spec, main);
    json["num_heads"] = facts.num_heads;
    json["window_size"] = facts.window ? Json(*facts.window) : Json();
  } else {
    json["attn"] = Json::parse(attn_json(spec));
  }
  if (has("output_gate") && std::ranges::any_of(layout.keys, [](const PeerKey& key) {
        return std::string_view(key.name) == "use_gate" && key.use == Use::code;
      })) {
    const std::string& gate = rule.text("output_gate");
    json["use_gate"] = gate != "none";
    if (std::string_view(layout.model_type) == "gated_deltanet" && gate != "none") {
      json["output_gate_activation"] = gate == "silu" ? "swish" : gate;
    }
  }
  const std::string text = json.dump(2) + "\n";
  const Node document = document_of_peer(parse_yaml(text, "config.json"), layout, plugins);
  check_nothing_is_lost(spec, read_model(document, plugins), layout);
  return text;
}

}  // namespace mdnlab
