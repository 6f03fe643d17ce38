// Marked items, and the scores that they make up.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "metric/sink.h"
#include "task/item.h"

namespace mdnlab {

// What stays of an answered item.
struct MarkedItem {
  std::int64_t index = 0;
  std::string prompt_digest;  // SHA-256 of the prompt's ids
  std::optional<std::int64_t> length;
  std::optional<double> depth;
  Mark mark;
};

MarkedItem marked(std::int64_t index, const Item& item, Mark mark);

// As text and back, for items that wait in the store. Text that is none: Code::failed.
std::string marked_json(const MarkedItem& item);
MarkedItem read_marked(std::int64_t index, const std::string& json);

// A score for each metric, length, depth and cell, in this order. `settings_json` is joined with each cell.
// An item with several values in one score counts with their mean. Plain means of weight 1 have a standard
// error and keep their items; n is items, or Σ weight where weights differ from 1. The interval is a
// bootstrap's over items, each with its weight; of an exponential, the exponential of the mean's.
std::vector<Score> scores_of(const std::string& task, const std::string& settings_json,
                             std::span<const MarkedItem> items);

// The interval of a score that has its items and no interval yet: one that an older mdnlab stored.
void add_interval(Score& score);

}  // namespace mdnlab
