// Evaluations under way, item by item.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/evaluations.h"

namespace mdnlab {

struct AnsweredItem {
  std::int64_t item = 0;
  std::string marked_json;
};

// The asking of this task with these settings (a JSON object: all that fixes items and answers) to this
// model, made when it is not there; its id.
std::int64_t ensure_asking(Store& store, const EvaluatedModel& model, const std::string& task,
                           const std::string& settings_json);

// What has been answered, in the order of the items.
std::vector<AnsweredItem> answered_items(Store& store, std::int64_t asking);

// In one transaction. An item that is there already stays as it is.
void add_answered(Store& store, std::int64_t asking, std::span<const AnsweredItem> items);

// Stores the scores and forgets the waiting items, in one transaction.
void end_asking(Store& store, std::int64_t asking, const EvaluatedModel& model,
                std::span<const Score> scores);

// The scores of an asking that has ended; none while it is under way, or where one of them has been replaced
// since. Without their items, but for the numbers and values of those that have no interval.
std::optional<std::vector<Score>> ended_scores(Store& store, std::int64_t asking);

}  // namespace mdnlab
