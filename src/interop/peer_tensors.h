// The tensors of a peer's model folder.
#pragma once

#include <filesystem>

#include "interop/safetensors.h"

namespace mdnlab {

struct PeerTensors {
  TensorMap tensors;
  std::filesystem::path file;  // that they are from, for messages
};

// Of model.safetensors, or of the files that model.safetensors.index.json lists. A folder without either, an
// index that is malformed, leads out of the folder or does not match its files: Code::usage.
PeerTensors read_peer_tensors(const std::filesystem::path& folder);

}  // namespace mdnlab
