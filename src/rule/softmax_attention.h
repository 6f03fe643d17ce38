// The layer of softmax attention with rotary positions, which the plugins with and without a window share:
//
//   x → q, k, v projections (bias) → (RMSNorm of q and k per head) → rotation by position
//     → softmax over the tokens seen → o projection
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "config/params.h"
#include "rule/rule.h"

namespace mdnlab::softmax_attention {

inline constexpr std::array fields{
    Field{.name = "rope_theta",
          .type = Type::real,
          .preset = "10000",
          .doc = "base of the rotary angles",
          .least = 1},
    Field{.name = "num_heads",
          .type = Type::integer,
          .preset = nullptr,
          .doc = "heads of hidden_size / num_heads channels; the model's num_heads and head_dim when unset",
          .least = 1},
    Field{.name = "num_kv_heads",
          .type = Type::integer,
          .preset = nullptr,
          .doc = "heads of keys and values, a divisor of the heads; as many when unset",
          .least = 1},
    Field{.name = "qkv_bias", .type = Type::boolean, .preset = "false", .doc = "biases of q, k and v"},
    Field{.name = "qk_norm",
          .type = Type::boolean,
          .preset = "false",
          .doc = "RMSNorm of q and k over each head's channels, eps 1e-5"}};

// `options` has the fields above. With a window a token sees the last `window` tokens, itself among them, and
// the state is their keys and values. Heads that do not divide, or an odd width: Code::usage.
std::unique_ptr<Rule> layer(const Params& options, const LayerShape& shape,
                            std::optional<std::int64_t> window = {});

}  // namespace mdnlab::softmax_attention
