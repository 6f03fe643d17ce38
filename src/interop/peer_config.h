// A peer's config.json as our configuration, and back.
#pragma once

#include <string>

#include "config/yaml.h"
#include "interop/peer_layout.h"
#include "model/spec.h"

namespace mdnlab {

// The sections `schema` and `model` (with its layers) that read_model understands; places are those of
// `config`. A key that is unknown, or whose value cannot be honoured here, is Code::usage and names it.
Node document_of_peer(const Node& config, const PeerLayout& layout, const Plugins& plugins);

// The layout that can hold the model: by the rule of its layers beside attention. Code::usage, naming what
// has no counterpart, where there is none: another rule, two of them, blocks that the layout does not have.
const PeerLayout& layout_for(const ModelSpec& spec);

// config.json, which document_of_peer reads back as the same model. Code::usage names an option that has no
// counterpart there.
std::string peer_config(const ModelSpec& spec, const PeerLayout& layout, std::int64_t vocab_size,
                        const Plugins& plugins);

}  // namespace mdnlab
