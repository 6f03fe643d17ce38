// A task asked of a model, its scores stored.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/language_model.h"
#include "run/config.h"
#include "store/evaluations.h"

namespace mdnlab {

struct EvaluationHooks {
  std::function<bool()> should_stop;                                    // asked between batches
  std::function<void(std::int64_t done, std::int64_t count)> progress;  // items; may be called often
};

// Asks the task's test and stores its scores; of a task of items (task/item.h) also each item, every few
// seconds: asked again after an interruption, it goes on with what is left, and when nothing is left the
// scores are those stored. With them stand the task's options but lists (lengths, depths, … are told score by
// score) and paths, its version, the digest and the file's name of its data, the compute dtype (`dtype`: a
// word) and the kind of device. nullopt: stopped; what was answered is kept.
std::optional<std::vector<Score>> evaluate_and_store(Store& store, const EvaluatedModel& identity,
                                                     const LanguageModel& model, const std::string& dtype,
                                                     const TaskChoice& choice, const Task& task,
                                                     const EvaluationHooks& hooks);

}  // namespace mdnlab
