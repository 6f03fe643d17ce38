// What a model says of a text, token by token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/language_model.h"

namespace mdnlab {

// log p(token t+1 | tokens 0…t), natural, one fewer than tokens. Computed in segments with the state carried,
// so that memory does not grow with the length beyond the state's. Ids must be in the vocabulary.
std::vector<double> log_probabilities(const LanguageModel& model, std::span<const std::int64_t> tokens);

}  // namespace mdnlab
