// The log-probabilities that items want.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/language_model.h"
#include "task/item.h"

namespace mdnlab {

// Answers of items that want labels or continuations, in their order; ask.h has the terms. Items of about one
// length are read side by side, shorter ones with something behind them, which the past does not see. What
// the continuations of a prompt have in common is read once, and each goes on from its state; so items next
// to each other should have prompts of about one length.
std::vector<Answer> read_items(const LanguageModel& model, std::span<const Item> items,
                               std::int64_t batch_tokens);

}  // namespace mdnlab
