// The text that items want.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/language_model.h"
#include "task/item.h"

namespace mdnlab {

// Answers of items that want text, in their order, written greedily side by side.
std::vector<Answer> write_items(const LanguageModel& model, std::span<const Item> items,
                                const Tokenizer& tokenizer, std::int64_t batch_tokens);

}  // namespace mdnlab
