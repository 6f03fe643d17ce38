// A model answers items (task/item.h), many at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "model/language_model.h"
#include "task/item.h"

namespace mdnlab {

struct AskHooks {
  std::function<void(std::int64_t index, const Item& item, const Answer& answer)> answered;
  std::function<bool()> should_stop = [] { return false; };  // asked between batches
};

// Asks the items of these indices, in an order of its own. Answers are those that each item has alone, within
// rounding: items of about one length are read or written side by side (read_items.h, write_items.h).
// `batch_tokens` bounds the work of one forward pass; an item longer than it is read in segments with the
// state carried. Ids that the model does not have: Code::usage.
void ask(const LanguageModel& model, const Items& items, std::span<const std::int64_t> indices,
         const AskHooks& hooks, std::int64_t batch_tokens = 8192);

}  // namespace mdnlab
