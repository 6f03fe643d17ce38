#include "model/spec.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "hidden_size",
     .type = Type::integer,
     .preset = Field::required,
     .doc = "width of the residual stream",
     .least = 1},
    {.name = "num_hidden_layers",
     .type = Type::integer,
     .preset = Field::required,
     .doc = "blocks",
     .least = 1},
    {.name = "num_heads",
     .type = Type::integer,
     .preset = Field::required,
     .doc = "heads of each rule",
     .least = 1},
    {.name = "head_dim",
     .type = Type::integer,
     .preset = nullptr,
     .doc = "key width K of a head; hidden_size / num_heads when unset",
     .least = 1},
    {.name = "expand_v",
     .type = Type::real,
     .preset = "1",
     .doc = "value width of a head / head_dim",
     .least = 0.01},
    {.name = "hidden_ratio",
     .type = Type::real,
     .preset = "4",
     .doc = "the MLP's width is hidden_size · hidden_ratio · 2/3, rounded up to 256; 0: no MLP",
     .least = 0},
    {.name = "intermediate_size",
     .type = Type::integer,
     .preset = nullptr,
     .doc = "the MLP's width itself; 0: no MLP",
     .least = 0},
    {.name = "conv_size",
     .type = Type::integer,
     .preset = "4",
     .doc = "taps of the short convolution; 0: none",
     .least = 0,
     .most = 64},
    {.name = "norm_eps", .type = Type::real, .preset = "1e-6", .doc = "eps of every RMSNorm", .least = 0},
    {.name = "recompute_layers",
     .type = Type::integer,
     .preset = "0",
     .doc = "blocks, from the first, whose norms, convolutions, gates and SwiGLU a GPU's backward pass makes "
            "again instead of keeping them",
     .least = 0},
    {.name = "recompute_scan_layers",
     .type = Type::integer,
     .preset = "0",
     .doc = "likewise, what their scan makes of its chunks before it runs over them",
     .least = 0},
    {.name = "vocab_size",
     .type = Type::integer,
     .preset = nullptr,
     .doc = "rows of the embedding; the task's when unset",
     .least = 1},
    {.name = "tie_word_embeddings",
     .type = Type::boolean,
     .preset = "false",
     .doc = "the head is the embedding"},
    {.name = "ratio",
     .type = Type::text,
     .preset = nullptr,
     .doc = "hybrid 'N:1': N layers of the rule, then one of attention"}};

const std::string others[] = {"layers"};

RuleChoice read_rule(const Node& node, const std::string& section, const Plugins& plugins) {
  Node map = node;
  if (node.kind == Node::Kind::scalar) {  // `rule: mdn`
    map = {.kind = Node::Kind::map, .place = node.place, .entries = {{"name", node.place, node}}};
  }
  if (map.kind != Node::Kind::map) {
    throw Error(
        Code::usage,
        {node.place, section + " is no rule", {}, "a name, or a map with `name` and the rule's options"});
  }
  const Node* name = map.find("name");
  if (!name || name->kind != Node::Kind::scalar) {
    throw Error(Code::usage, {map.place, section + " lacks the rule's name", {}, "name: …"});
  }
  const Plugin& plugin = plugins.find(name->scalar, name->place);
  const std::string own[] = {"name"};
  return {name->scalar, read_params(map, section, plugin.options(), own)};
}

// "3:1" → 3
std::int64_t ratio_of(const Params& options) {
  const std::vector<std::string> words = split(options.text("ratio"), ':');
  std::int64_t linear = 0, attention = 0;
  if (words.size() != 2 || !parse_integer(words[0], linear) || !parse_integer(words[1], attention) ||
      linear < 1 || attention != 1) {
    throw options.error("ratio", "model.ratio is no ratio", "N:1, e.g. 3:1");
  }
  return linear;
}

}  // namespace

std::span<const Field> model_fields() { return fields; }

LayerShape ModelSpec::layer_shape(std::size_t layer) const {
  LayerShape shape{.hidden_size = hidden_size(),
                   .num_heads = options.integer("num_heads"),
                   .expand_v = options.real("expand_v"),
                   .conv_size = options.integer("conv_size"),
                   .norm_eps = options.real("norm_eps"),
                   .num_hidden_layers = options.integer("num_hidden_layers"),
                   .layer = static_cast<std::int64_t>(layer)};
  shape.head_dim = options.integer("head_dim");
  return shape;
}

std::int64_t ModelSpec::intermediate_size() const { return options.integer("intermediate_size"); }

std::string ModelSpec::rule_text() const {
  std::vector<std::pair<std::string, int>> counts;
  for (const RuleChoice& layer : layers) {
    bool found = false;
    for (auto& [name, count] : counts) {
      if (name == layer.name) found = ++count > 0;
    }
    if (!found) counts.emplace_back(layer.name, 1);
  }
  if (counts.size() == 1) return counts[0].first;
  std::vector<std::string> words;
  for (const auto& [name, count] : counts) words.push_back(std::to_string(count) + "×" + name);
  return join(words, " + ");
}

std::string ModelSpec::json() const {
  using Json = nlohmann::ordered_json;
  const auto rule = [](const RuleChoice& layer) {
    Json json{{"name", layer.name}};
    json.update(Json::parse(layer.options.json()));
    return json;
  };
  Json root, model = Json::parse(options.json());
  model.erase("ratio");  // the layers say it
  const bool uniform = std::ranges::all_of(layers, [&](const RuleChoice& layer) {
    return layer.name == layers[0].name && layer.options.json() == layers[0].options.json();
  });
  if (uniform) {
    root["rule"] = rule(layers[0]);
  } else {
    for (const RuleChoice& layer : layers) model["layers"].push_back(rule(layer));
  }
  root["model"] = std::move(model);
  return root.dump();
}

ModelSpec read_model(const Node& root, const Plugins& plugins) {
  const Node* model = root.find("model");
  if (!model) throw Error(Code::usage, {root.place, "the section `model` is missing"});
  ModelSpec spec{read_params(*model, "model", fields, others), {}};
  Params& options = spec.options;
  const std::int64_t hidden = options.integer("hidden_size"), heads = options.integer("num_heads");
  if (!options.is_set("head_dim")) {
    if (hidden % heads != 0) {
      throw options.error("num_heads", "num_heads does not divide hidden_size",
                          "a divisor of " + std::to_string(hidden), "or give head_dim");
    }
    options.set("head_dim", hidden / heads);
  }
  if (!options.is_set("intermediate_size")) {
    const double width = static_cast<double>(hidden) * options.real("hidden_ratio") * 2 / 3;
    options.set("intermediate_size", static_cast<std::int64_t>(std::ceil(std::floor(width) / 256)) * 256);
  }

  const auto count = static_cast<std::size_t>(options.integer("num_hidden_layers"));
  const Node* listed = model->find("layers");
  const Node* rule = root.find("rule");
  if (listed && options.is_set("ratio")) {
    throw options.error("ratio", "model.ratio and model.layers both choose the layers' rules", "one of them");
  }
  if (listed) {
    if (rule)
      throw Error(Code::usage,
                  {rule->place, "`rule` and model.layers both choose the layers' rules", {}, "one of them"});
    if (listed->kind != Node::Kind::list || listed->items.size() != count) {
      throw Error(
          Code::usage,
          {listed->place, "model.layers does not match num_hidden_layers",
           listed->kind == Node::Kind::list ? std::to_string(listed->items.size()) + " rules" : "no list",
           "a list of " + std::to_string(count) + " rules"});
    }
    for (std::size_t i = 0; i < count; ++i) {
      spec.layers.push_back(read_rule(listed->items[i], "model.layers[" + std::to_string(i) + "]", plugins));
    }
    return spec;
  }
  if (!rule)
    throw Error(Code::usage, {root.place,
                              "the section `rule` is missing",
                              {},
                              "rule: {name: …}",
                              "`mdnlab rules list` names them"});
  const RuleChoice chosen = read_rule(*rule, "rule", plugins);
  const std::int64_t linear = options.is_set("ratio") ? ratio_of(options) : 0;
  if (linear >= static_cast<std::int64_t>(count)) {
    throw options.error("ratio", "model.ratio leaves no layer for attention",
                        "num_hidden_layers of " + std::to_string(linear + 1) + " or more");
  }
  for (std::size_t i = 0; i < count; ++i) {
    const bool attends = linear > 0 && static_cast<std::int64_t>(i) % (linear + 1) == linear;
    if (attends) {
      const Plugin& attention = plugins.find("attention", options.place("ratio"));
      spec.layers.push_back({"attention", default_params("rule", attention.options())});
    } else {
      spec.layers.push_back(chosen);
    }
  }
  return spec;
}

std::vector<std::unique_ptr<Rule>> build_rules(const ModelSpec& spec, const Plugins& plugins) {
  std::vector<std::unique_ptr<Rule>> rules;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const RuleChoice& choice = spec.layers[i];
    try {
      rules.push_back(plugins.find(choice.name).create(choice.options, spec.layer_shape(i)));
    } catch (const Error& error) {
      if (!error.text().place.file.empty()) throw;
      ErrorText text = error.text();  // a shape that the rule does not fit
      text.place = spec.options.place();
      throw Error(error.code(), std::move(text));
    }
  }
  return rules;
}

std::vector<ParameterSpec> parameter_specs(const ModelSpec& spec,
                                           std::span<const std::unique_ptr<Rule>> rules,
                                           std::int64_t vocab_size) {
  const std::int64_t hidden = spec.hidden_size(), wide = spec.intermediate_size();
  const Initial normal{}, one{.kind = Initial::Kind::constant, .a = 1};
  std::vector<ParameterSpec> list{{"model.embeddings.weight", {vocab_size, hidden}, normal}};
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    list.push_back({layer + "attn_norm.weight", {hidden}, one, false});
    for (ParameterSpec& own : rules[i]->parameters()) {
      own.name = layer + "attn." + own.name;
      list.push_back(std::move(own));
    }
    if (wide == 0) continue;
    list.push_back({layer + "mlp_norm.weight", {hidden}, one, false});
    list.push_back({layer + "mlp.gate_proj.weight", {wide, hidden}, normal});
    list.push_back({layer + "mlp.up_proj.weight", {wide, hidden}, normal});
    list.push_back({layer + "mlp.down_proj.weight", {hidden, wide}, normal});
  }
  list.push_back({"model.norm.weight", {hidden}, one, false});
  if (!spec.options.boolean("tie_word_embeddings"))
    list.push_back({"lm_head.weight", {vocab_size, hidden}, normal});
  return list;
}

ModelFacts model_facts(const ModelSpec& spec, std::span<const std::unique_ptr<Rule>> rules,
                       std::int64_t vocab_size, std::int64_t context_tokens, at::ScalarType dtype) {
  ModelFacts facts;
  double products = 0;  // multiply-adds: one a number of each matrix; a convolution's taps are no matrix
  for (const ParameterSpec& parameter : parameter_specs(spec, rules, vocab_size)) {
    facts.parameters += parameter.count();
    if (parameter.shape.size() == 2 && parameter.name != "model.embeddings.weight")
      products += static_cast<double>(parameter.count());
  }
  if (spec.options.boolean("tie_word_embeddings"))
    products += static_cast<double>(vocab_size * spec.hidden_size());
  double mixing = 0;
  for (const auto& rule : rules) {
    mixing += rule->mixing_flops(context_tokens);
    for (const StateSpec& state : rule->state(context_tokens, dtype)) facts.state_bytes += state.bytes();
  }
  // Backward is two products for each of forward's: towards the input, and towards the other factor. What is
  // computed twice is counted once; norms, gates and convolutions are left out.
  facts.flops_per_token = 3 * (2 * products + mixing);
  return facts;
}

at::ScalarType dtype_of(std::string_view word) {
  if (word == "f64") return at::kDouble;
  if (word == "bf16") return at::kBFloat16;
  if (word == "f16") return at::kHalf;
  return at::kFloat;
}

}  // namespace mdnlab
