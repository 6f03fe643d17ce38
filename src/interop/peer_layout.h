// The model folders of flash-linear-attention and of the Momentum DeltaNet release: for each model_type, the
// keys of its config.json, what they are here, and how its tensors are called.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mdnlab {

struct PeerKey {
  enum class Use {
    model,  // an option of the model
    rule,   // an option of the rule
    fixed,  // what it is here; another value cannot be honoured
    code    // read and written by peer_config.cc
  };
  const char* name;
  Use use;
  const char* preset;           // its value where config.json lacks it: a scalar as in JSON, "null": unset
  const char* other = nullptr;  // model, rule: the option's name here, where it differs;
                                // fixed: another word for the same value
};

struct PeerLayout {
  const char* model_type;
  const char* architecture;  // of the causal language model
  const char* rule;          // of the layers that `attn` does not name
  bool is_mamba;             // blocks of a mixer alone, tensors by mamba's names
  std::span<const PeerKey> keys;
};

std::span<const PeerLayout> peer_layouts();
const PeerLayout& peer_layout(std::string_view model_type, const Place& place);  // unknown: Code::usage

// Keys that do not change what a trained model computes: losses, fused kernels, initial values, token ids, …
bool is_free_key(std::string_view name);

// A tensor's name there, from its name here (model.layers.0.attn.q_proj.weight).
std::string peer_name(const PeerLayout& layout, const std::string& name);

}  // namespace mdnlab
