// The gates that a trained model takes on text, for `mdnlab rules spectrum --checkpoint`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "check/stability/gate_report.h"
#include "interop/safetensors.h"
#include "model/spec.h"

namespace mdnlab {

// A checkpoint of ours, as train writes it.
struct TrainedModel {
  std::filesystem::path folder;
  Node config;  // the whole document of its run
  ModelSpec spec;
  TensorMap weights;
};

// `word` is a checkpoint folder, or run:KEYPREFIX of the database: the newest of its checkpoints that
// verifies. Code::usage: neither; Code::failed: none that verifies.
TrainedModel open_trained(const std::string& word, const std::filesystem::path& database,
                          const Plugins& plugins);

struct CheckpointGates {
  std::string model;
  std::int64_t tokens = 0;                   // read by each layer
  std::vector<stability::HeadReport> heads;  // of the layers with the rule
  stability::HeadReport all;                 // of them together; its layer and head mean nothing
  std::vector<stability::Gate> points;       // evenly from all of them, to draw
};

// What is read: a text under the run's tokenizer, or without one the validation data of the run.
struct CheckpointText {
  std::optional<std::string> file;
  std::int64_t tokens = 4096;  // about as many
};

// The options that the model's layers of this rule have. None has it: Code::usage.
const Params& options_in(const TrainedModel& model, const std::string& rule);

// Runs the model in float32, without gradients. Code::usage: a text that cannot be read or fits no token of
// the run.
CheckpointGates checkpoint_gates(const TrainedModel& model, const std::string& rule,
                                 const CheckpointText& text, const Plugins& plugins);

}  // namespace mdnlab
