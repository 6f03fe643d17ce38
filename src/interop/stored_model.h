// A model on disk: a checkpoint of ours, or a peer's folder. Both have weights and a configuration.
#pragma once

#include <filesystem>
#include <string>

#include "interop/safetensors.h"
#include "model/language_model.h"

namespace mdnlab {

struct StoredModel {
  std::filesystem::path folder;
  ModelSpec spec;
  std::int64_t vocab_size = 0;  // rows of the embedding
  TensorMap weights;            // by the names of parameter_specs; float32, or float64 where stored so
  Node config;                  // the whole document: `data:` and `train:` of a run's checkpoint among it
};

// Reads a checkpoint of ours (config.json has `schema`; its digests are verified) or a peer's folder
// (`model_type`; model.safetensors, or the files of model.safetensors.index.json). float16 and bfloat16
// weights are widened. Code::usage names the file and the key or tensor: what is missing, unknown or
// malformed; every tensor (up to ten) that is missing, superfluous, of another shape, not floating or not
// finite. A checkpoint that is incomplete or damaged is Code::failed.
StoredModel read_stored_model(const std::filesystem::path& folder, const Plugins& plugins);

// The checkpoint that read_stored_model reads: model.safetensors, config.json, SHA256SUMS. The folder is made
// in one step and must not be there.
void write_checkpoint(const std::filesystem::path& folder, const StoredModel& model);

// A peer's folder: config.json and model.safetensors by its names. Code::usage names what has no counterpart
// there. The folder is made in one step and must not be there.
void write_peer_model(const std::filesystem::path& folder, const StoredModel& model, const Plugins& plugins);

// The model, ready to compute in `dtype` on `device`.
LanguageModel build_model(const StoredModel& model, const Plugins& plugins, at::ScalarType dtype,
                          at::Device device = at::kCPU);

}  // namespace mdnlab
