// The attention layers of a peer's model: all of a transformer's, or those that `attn` of a hybrid names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/yaml.h"
#include "model/spec.h"

namespace mdnlab {

// What an attention layer is, whether its options or the model say so.
struct AttentionFacts {
  std::int64_t num_heads = 0, head_dim = 0, num_kv_heads = 0;
  bool qkv_bias = false, qk_norm = false;
  double rope_theta = 0;
  std::optional<std::int64_t> window;

  bool operator==(const AttentionFacts&) const = default;
};

bool is_attention(const RuleChoice& layer);
AttentionFacts attention_facts(const ModelSpec& spec, std::size_t layer);  // of an attention layer

// The rules of the layers that `attn` names, as `model.layers` has them. Unknown keys, layers out of range or
// named twice, and qk_norm (which only a transformer has) are Code::usage.
std::map<std::int64_t, Node> read_attn(const Node& attn, std::int64_t num_hidden_layers);

// The value of `attn`: null without attention layers, one map, or a list of maps where the layers differ.
// Code::usage for layers whose heads do not make up hidden_size.
std::string attn_json(const ModelSpec& spec);

}  // namespace mdnlab
