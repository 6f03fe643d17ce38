// The log-probabilities that items want.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/language_model.h"
#include "task/item.h"

namespace mdnlab {

// Answers of items that want labels or continuations, in their order; ask.h has the terms.
std::vector<Answer> read_items(const LanguageModel& model, std::span<const Item> items,
                               std::int64_t batch_tokens);

}  // namespace mdnlab
