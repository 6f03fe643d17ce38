#include "interop/peer_attention.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "interop/nodes.h"

namespace mdnlab {

namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> keys{"layers",   "num_heads",   "num_kv_heads",
                                    "qkv_bias", "window_size", "rope_theta"};

const Node& required(const Node& map, const char* key) {
  const Node* node = map.find(key);
  if (!node || node->kind == Node::Kind::null) {
    throw Error(Code::usage, {.place = map.place, .what = std::string("attn lacks `") + key + "`"});
  }
  return *node;
}

// The layer's rule with the options that `attn` gives it.
Node rule_of(const Node& attn) {
  const Node* window = attn.find("window_size");
  const bool slides = window && window->kind != Node::Kind::null;
  Node rule = map_node(attn.place);
  add(rule, "name", scalar_node(slides ? "sliding_attention" : "attention", attn.place));
  if (slides) add(rule, "window", *window);
  add(rule, "num_heads", required(attn, "num_heads"));
  for (const char* key : {"num_kv_heads", "qkv_bias", "rope_theta"}) {
    if (const Node* value = attn.find(key); value && value->kind != Node::Kind::null) add(rule, key, *value);
  }
  return rule;
}

void read_one(const Node& attn, std::int64_t count, std::map<std::int64_t, Node>& rules) {
  if (attn.kind != Node::Kind::map) {
    throw Error(Code::usage, {attn.place, "attn is no map", {}, "{layers: […], num_heads: …}"});
  }
  for (const Node::Entry& entry : attn.entries) {
    if (std::ranges::find(keys, entry.key) == keys.end()) {
      throw Error(Code::usage, {entry.place,
                                "attn has a key that cannot be honoured",
                                quote(entry.key),
                                {},
                                suggestion(entry.key, keys)});
    }
  }
  const Node& layers = required(attn, "layers");
  if (layers.kind != Node::Kind::list) {
    throw Error(Code::usage, {layers.place, "attn.layers is no list", {}, "indices of layers, from 0"});
  }
  for (const Node& item : layers.items) {
    std::int64_t layer = 0;
    if (item.kind != Node::Kind::scalar || !parse_integer(item.scalar, layer) || layer < 0 ||
        layer >= count) {
      throw Error(Code::usage, {item.place, "attn.layers has an index outside the model", quote(item.scalar),
                                "0 to " + std::to_string(count - 1)});
    }
    if (!rules.emplace(layer, rule_of(attn)).second) {
      throw Error(Code::usage, {item.place, "attn.layers names a layer twice", std::to_string(layer)});
    }
  }
}

}  // namespace

bool is_attention(const RuleChoice& layer) {
  return layer.name == "attention" || layer.name == "sliding_attention";
}

AttentionFacts attention_facts(const ModelSpec& spec, std::size_t layer) {
  const RuleChoice& choice = spec.layers[layer];
  const LayerShape shape = spec.layer_shape(layer);
  const Params& options = choice.options;
  AttentionFacts facts{.num_heads = shape.num_heads,
                       .head_dim = shape.head_dim,
                       .qkv_bias = options.boolean("qkv_bias"),
                       .qk_norm = options.boolean("qk_norm"),
                       .rope_theta = options.real("rope_theta")};
  if (options.is_set("num_heads")) {
    facts.num_heads = options.integer("num_heads");
    facts.head_dim = shape.hidden_size / facts.num_heads;
  }
  facts.num_kv_heads = options.is_set("num_kv_heads") ? options.integer("num_kv_heads") : facts.num_heads;
  if (choice.name == "sliding_attention") facts.window = options.integer("window");
  if (facts.num_heads * facts.head_dim != shape.hidden_size) {
    throw Error(Code::usage,
                {.what = "layer " + std::to_string(layer) +
                         ": attention heads that do not make up hidden_size have no counterpart",
                 .found = std::to_string(facts.num_heads) + " · " + std::to_string(facts.head_dim),
                 .expected = std::to_string(shape.hidden_size)});
  }
  return facts;
}

std::map<std::int64_t, Node> read_attn(const Node& attn, std::int64_t num_hidden_layers) {
  std::map<std::int64_t, Node> rules;
  if (attn.kind == Node::Kind::null) return rules;
  if (attn.kind != Node::Kind::list) {
    read_one(attn, num_hidden_layers, rules);
    return rules;
  }
  for (const Node& item : attn.items) read_one(item, num_hidden_layers, rules);
  return rules;
}

std::string attn_json(const ModelSpec& spec) {
  std::vector<std::pair<AttentionFacts, Json>> groups;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    if (!is_attention(spec.layers[i])) continue;
    const AttentionFacts facts = attention_facts(spec, i);
    auto group = std::ranges::find(groups, facts, &std::pair<AttentionFacts, Json>::first);
    if (group == groups.end()) {
      Json json{{"layers", Json::array()},
                {"num_heads", facts.num_heads},
                {"num_kv_heads", facts.num_kv_heads},
                {"qkv_bias", facts.qkv_bias},
                {"rope_theta", facts.rope_theta},
                {"window_size", facts.window ? Json(*facts.window) : Json()}};
      group = groups.insert(groups.end(), {facts, std::move(json)});
    }
    group->second["layers"].push_back(i);
  }
  Json json;
  for (const auto& group : groups) json.push_back(group.second);
  return (json.size() == 1 ? json[0] : json).dump();
}

}  // namespace mdnlab
