// MODEL on the command line, opened: one way in for every command that takes a trained model.
#pragma once

#include <filesystem>
#include <string>

#include "interop/stored_model.h"
#include "store/evaluations.h"

namespace mdnlab {

// `word` is a checkpoint folder, a peer's model folder, a run's folder, or run:KEYPREFIX of the database; of
// a run it is the newest checkpoint that verifies. Code::usage: nothing of these, or no such run;
// Code::failed: a run without a checkpoint that verifies.
StoredModel open_model(const std::string& word, const std::filesystem::path& database,
                       const Plugins& plugins);

// Whose the scores of that model are: of the run at the checkpoint's step, or of weights known by their
// digest.
EvaluatedModel identify_model(const std::string& word, const StoredModel& model, Store& store);

}  // namespace mdnlab
