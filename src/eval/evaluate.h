// A model on a task: scores.
#pragma once

#include <functional>
#include <vector>

#include "model/language_model.h"
#include "task/task.h"

namespace mdnlab {

// Without gradients. `batch_tokens` bounds the work of one forward pass and does not change scores beyond
// rounding. `should_stop` is asked between batches; when it says so, there are no scores.
std::vector<Score> evaluate(
    const LanguageModel& model, const Task& task, Split split, std::int64_t batch_tokens = 8192,
    const std::function<bool()>& should_stop = [] { return false; });

}  // namespace mdnlab
