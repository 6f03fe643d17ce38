#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "interop/nodes.h"
#include "interop/peer_attention.h"
#include "interop/peer_config.h"

namespace mdnlab {

namespace {

using Use = PeerKey::Use;

Node preset_node(const PeerKey& key, const Place& place) {
  std::string text = key.preset;
  if (text == "null") return {.place = place};
  if (text.starts_with('"')) text = text.substr(1, text.size() - 2);
  return scalar_node(text, place);
}

bool is_same_scalar(const Node& a, const Node& b) {
  double first = 0, second = 0;
  if (a.kind != b.kind || a.kind == Node::Kind::list || a.kind == Node::Kind::map) return false;
  if (parse_real(a.scalar, first) && parse_real(b.scalar, second)) return first == second;
  return a.scalar == b.scalar;
}

[[noreturn]] void refuse(const PeerKey& key, const Node& value, const std::string& expected) {
  throw Error(Code::usage, {value.place, fmt::format("the value of `{}` cannot be honoured", key.name),
                            value.kind == Node::Kind::scalar ? quote(value.scalar)
                            : value.kind == Node::Kind::null ? "null"
                                                             : "a list or a map",
                            expected});
}

// config.json and what its model_type lets stand there.
class Reader {
 public:
  Reader(const Node& config, const PeerLayout& layout, const Plugins& plugins)
      : config_(config), layout_(layout), plugins_(plugins) {}

  Node document() {
    check_keys();
    Node model = map_node(config_.place), rule = map_node(config_.place);
    const Node window = layout_has("window_size") ? value("window_size") : Node{};
    const bool slides = window.kind != Node::Kind::null;
    const std::string name = slides ? "sliding_attention" : layout_.rule;
    add(rule, "name", scalar_node(name, config_.place));
    if (slides) add(rule, "window", window);
    for (const PeerKey& key : layout_.keys) {
      const Node node = value(key);
      const char* here = key.other ? key.other : key.name;
      if (key.use == Use::fixed) check_fixed(key, node);
      if (key.use == Use::model && node.kind != Node::Kind::null) add(model, here, node);
      if (key.use == Use::rule) add_option(rule, name, here, node, key);
    }
    if (layout_has("use_gate") && key_of("use_gate").use == Use::code) add_output_gate(rule, name);
    if (layout_.is_mamba) add_mamba(model, rule);
    add_layers(model, rule);
    Node document = map_node(config_.place);
    add(document, "schema", scalar_node("1", config_.place));
    add(document, "model", std::move(model));
    return document;
  }

 private:
  const PeerKey& key_of(std::string_view name) const {
    return *std::ranges::find_if(layout_.keys, [&](const PeerKey& key) { return name == key.name; });
  }
  bool layout_has(std::string_view name) const {
    return std::ranges::any_of(layout_.keys, [&](const PeerKey& key) { return name == key.name; });
  }
  Node value(const PeerKey& key) const {
    const Node* found = config_.find(key.name);
    return found ? *found : preset_node(key, config_.place);
  }
  Node value(std::string_view name) const { return value(key_of(name)); }

  // What nobody here knows is refused, unless it is off.
  void check_keys() const {
    std::vector<std::string> known;
    for (const PeerKey& key : layout_.keys) known.emplace_back(key.name);
    for (const Node::Entry& entry : config_.entries) {
      const bool is_off = entry.value.kind == Node::Kind::null || entry.value.scalar == "false";
      if (is_off || is_free_key(entry.key) || std::ranges::find(known, entry.key) != known.end()) continue;
      const std::string near = nearest(entry.key, known);
      throw Error(Code::usage, {entry.place,
                                fmt::format("a {} with this key cannot be honoured", layout_.model_type),
                                quote(entry.key),
                                {},
                                near.empty() ? "remove it if the model computes the same without"
                                             : "did you mean " + quote(near) + "?"});
    }
  }

  void check_fixed(const PeerKey& key, const Node& node) const {
    const Node preset = preset_node(key, config_.place);
    if (is_same_scalar(node, preset) || (key.other && node.scalar == key.other)) return;
    refuse(key, node, preset.kind == Node::Kind::null ? "null" : preset.scalar);
  }

  // An option that the rule lacks can only stand at its preset.
  void add_option(Node& rule, const std::string& name, const char* option, const Node& node,
                  const PeerKey& key) const {
    if (node.kind == Node::Kind::null) return;
    const auto options = plugins_.find(name, config_.place).options();
    if (std::ranges::any_of(options,
                            [&](const Field& field) { return option == std::string_view(field.name); })) {
      add(rule, option, node);
    } else if (!is_same_scalar(node, preset_node(key, config_.place))) {
      refuse(key, node, key.preset);
    }
  }

  void add_output_gate(Node& rule, const std::string& name) const {
    const Node use_gate = value("use_gate");
    if (use_gate.scalar != "true" && use_gate.scalar != "false") refuse(key_of("use_gate"), use_gate, "true");
    if (use_gate.scalar == "false") {
      add_option(rule, name, "output_gate", scalar_node("none", use_gate.place), key_of("use_gate"));
    } else if (layout_has("output_gate_activation")) {
      const Node activation = value("output_gate_activation");
      if (activation.scalar == "swish" || activation.scalar == "silu") return;
      add_option(rule, name, "output_gate", activation, key_of("output_gate_activation"));
    }
  }

  // Blocks have no MLP, one eps serves both norms, and before version 0.5 (by its words rms_norm,
  // time_step_limit) the gated norm ran over all channels whatever n_groups.
  void add_mamba(Node& model, Node& rule) const {
    for (const char* name : {"dt_limit", "time_step_limit"}) check_unlimited(name);
    if (value("rms_norm").scalar != "true") refuse(key_of("rms_norm"), value("rms_norm"), "true");
    const bool is_older =
        (config_.find("rms_norm") || config_.find("time_step_limit")) && !config_.find("rmsnorm");
    add(rule, "norm_groups", is_older ? scalar_node("1", config_.place) : value("n_groups"));
    add(rule, "gated_norm_eps", value("norm_eps"));
    add(model, "num_heads", scalar_node("1", config_.place));
    add(model, "hidden_ratio", scalar_node("0", config_.place));
    const Node heads = value("num_heads"), width = value("head_dim");
    double count = 0, expand = 0, hidden = 0, channels = 0;
    if (heads.kind != Node::Kind::null && parse_real(value("expand").scalar, expand) &&
        parse_real(value("hidden_size").scalar, hidden) && parse_real(width.scalar, channels) &&
        (!parse_real(heads.scalar, count) || count * channels != expand * hidden)) {
      refuse(key_of("num_heads"), heads, "expand · hidden_size / head_dim");
    }
  }

  // Null or [0, ∞], where infinity is `Infinity` or {"__float__": "Infinity"}.
  void check_unlimited(const char* name) const {
    const Node limit = value(name);
    if (limit.kind == Node::Kind::null) return;
    double least = -1;
    if (limit.kind == Node::Kind::list && limit.items.size() == 2 &&
        parse_real(limit.items[0].scalar, least) && least == 0) {
      const Node* most = &limit.items[1];
      if (most->kind == Node::Kind::map && most->entries.size() == 1) most = &most->entries[0].value;
      if (most->scalar == "Infinity" || most->scalar == "inf") return;
    }
    refuse(key_of(name), limit, "[0.0, Infinity]");
  }

  void add_layers(Node& model, const Node& rule) const {
    const Node count = value("num_hidden_layers");
    std::int64_t layers = 0;
    if (!parse_integer(count.scalar, layers) || layers < 1 || layers > 100'000) {
      refuse(key_of("num_hidden_layers"), count, "a number of layers");
    }
    const auto attention =
        layout_has("attn") ? read_attn(value("attn"), layers) : std::map<std::int64_t, Node>();
    Node list{.kind = Node::Kind::list, .place = config_.place};
    for (std::int64_t i = 0; i < layers; ++i) {
      const auto found = attention.find(i);
      list.items.push_back(found == attention.end() ? rule : found->second);
    }
    add(model, "layers", std::move(list));
  }

  const Node& config_;
  const PeerLayout& layout_;
  const Plugins& plugins_;
};

}  // namespace

Node document_of_peer(const Node& config, const PeerLayout& layout, const Plugins& plugins) {
  return Reader(config, layout, plugins).document();
}

}  // namespace mdnlab
