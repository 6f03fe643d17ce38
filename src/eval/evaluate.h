// A model on a task: scores.
#pragma once

#include <vector>

#include "model/language_model.h"
#include "task/task.h"

namespace mdnlab {

// Without gradients. `batch_tokens` bounds the work of one forward pass and does not change scores beyond
// rounding.
std::vector<Score> evaluate(const LanguageModel& model, const Task& task, Split split,
                            std::int64_t batch_tokens = 8192);

}  // namespace mdnlab
