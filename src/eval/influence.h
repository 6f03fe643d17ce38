// How much each output of a model still holds of the value that an earlier token wrote.
#pragma once

#include <span>
#include <vector>

#include "model/language_model.h"
#include "task/item.h"

namespace mdnlab {

// Answers of items that want influence, in their order: |c(t,i)| in o_t = Σ_i c(t,i) v_i of every layer and
// head, by Rule::influence, exactly and of every token i, a few at a time. Each prompt is read alone and
// whole, so that memory grows with its length. Layers whose rule does not say are passed over; when none
// does: Code::usage.
std::vector<Answer> measure_influence(const LanguageModel& model, std::span<const Item> items);

}  // namespace mdnlab
