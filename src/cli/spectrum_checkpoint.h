// The gates that a trained model takes on text, for `mdnlab rules spectrum --checkpoint`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "check/stability/gate_report.h"
#include "interop/stored_model.h"

namespace mdnlab {

struct CheckpointGates {
  std::string model;
  std::int64_t tokens = 0;                   // read by each layer
  std::vector<stability::HeadReport> heads;  // of the layers with the rule
  stability::HeadReport all;                 // of them together; its layer and head mean nothing
  std::vector<stability::Gate> points;       // evenly from all of them, to draw
};

// What is read: a text, or lists of token ids, or without either the validation data of the model's run.
struct CheckpointText {
  std::optional<std::string> file, ids;
  std::optional<std::string> tokenizer;  // of the text; without it the run's
  std::int64_t tokens = 4096;            // about as many
};

// The options that the model's layers of this rule have. None has it: Code::usage.
const Params& options_in(const StoredModel& model, const std::string& rule);

// Runs the model in float32, without gradients. Code::usage: both a text and ids; neither, for a model that
// does not say what it was trained on (a peer's); a file that cannot be read, or is not of the model's
// vocabulary.
CheckpointGates checkpoint_gates(const StoredModel& model, const std::string& rule,
                                 const CheckpointText& text, const Plugins& plugins);

}  // namespace mdnlab
