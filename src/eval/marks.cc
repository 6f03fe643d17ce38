#include "eval/marks.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "statistics/bootstrap.h"

namespace mdnlab {

namespace {

using nlohmann::json;

// Of one item in one score.
struct Part {
  const MarkedItem* item;
  const ItemValue* last;  // that was added
  double sum = 0, weight = 0;
  bool is_weighted = false;
};

struct Group {
  Mean mean = Mean::plain;
  std::vector<Part> parts;

  void add(const MarkedItem& item, const ItemValue& value) {
    mean = value.mean;
    if (parts.empty() || parts.back().item != &item) parts.push_back({&item, &value});
    Part& part = parts.back();
    part.last = &value;
    part.sum += value.weight * value.value;
    part.weight += value.weight;
    part.is_weighted |= value.weight != 1;
  }
};

// Digits by the number that they make: {"lag":8} stands before {"lag":16}.
struct Cell {
  std::string json;

  friend bool operator<(const Cell& a, const Cell& b) {
    const auto is_digit = [](char letter) { return letter >= '0' && letter <= '9'; };
    for (auto left = a.json.begin(), right = b.json.begin();; ++left, ++right) {
      if (left == a.json.end() || right == b.json.end()) return right != b.json.end();
      const auto left_end = std::find_if_not(left, a.json.end(), is_digit),
                 right_end = std::find_if_not(right, b.json.end(), is_digit);
      const auto digits = left_end - left, others = right_end - right;
      if (digits > 0 && others > 0 && digits != others) return digits < others;
      if (*left != *right) return *left < *right;
    }
  }
};

using Key = std::tuple<std::string, std::optional<std::int64_t>, std::optional<double>, Cell>;

bool is_share(const std::string& metric) { return metric.starts_with("acc") || metric == "recall"; }

// One item alone says nothing of others.
void set_interval(Score& score, std::span<const double> parts, std::span<const double> weights, Mean mean) {
  if (parts.size() < 2 || !std::isfinite(score.value)) return;
  const bool is_unanimous = is_share(score.metric) && (score.value == 0 || score.value == 1);
  Interval interval =
      is_unanimous ? unanimous_interval(score.value, parts.size()) : ratio_interval(parts, weights);
  if (mean == Mean::exponential) interval = {score.value, std::exp(interval.low), std::exp(interval.high)};
  if (!std::isfinite(interval.high)) return;
  score.low = interval.low;
  score.high = interval.high;
}

void set_weighted_mean(Score& score, const Group& group) {
  std::vector<double> sums, weights;
  double sum = 0, weight = 0;
  for (const Part& part : group.parts) {
    sum += sums.emplace_back(part.sum);
    weight += weights.emplace_back(part.weight);
  }
  score.n = std::llround(weight);
  score.value = sum / weight;
  if (group.mean == Mean::exponential) score.value = std::exp(score.value);
  set_interval(score, sums, weights, group.mean);
}

void set_mean_of_items(Score& score, const Group& group) {
  const auto n = static_cast<double>(group.parts.size());
  for (const Part& part : group.parts) {
    const double value = part.sum / part.weight;
    const Mark& mark = part.item->mark;
    score.value += value;
    score.items.push_back({.item = part.item->index,
                           .value = value,
                           .prompt_digest = part.item->prompt_digest,
                           .answer = mark.answer,
                           .prediction = part.last->prediction.value_or(mark.prediction),
                           .log_probabilities = mark.log_probabilities});
  }
  score.value /= n;
  score.n = std::ssize(group.parts);
  double squares = 0;
  for (const ScoredItem& item : score.items) squares += std::pow(item.value - score.value, 2);
  if (score.n > 1) score.stderr_value = std::sqrt(squares / (n - 1) / n);
  add_interval(score);
}

}  // namespace

MarkedItem marked(std::int64_t index, const Item& item, Mark mark) {
  const auto* bytes = reinterpret_cast<const char*>(item.prompt.data());
  return {index, sha256({bytes, item.prompt.size() * sizeof(std::int64_t)}), item.length, item.depth,
          std::move(mark)};
}

std::string marked_json(const MarkedItem& item) {
  json values = json::array();
  for (const ItemValue& value : item.mark.values) {
    // As text: JSON has no infinity, and every bit counts.
    values.push_back({value.metric, shortest(value.value), shortest(value.weight),
                      value.mean == Mean::exponential, value.cell});
    if (value.prediction) values.back().push_back(*value.prediction);
  }
  json whole{{"prompt_digest", item.prompt_digest},
             {"answer", item.mark.answer},
             {"prediction", item.mark.prediction},
             {"values", values}};
  for (const double ln_p : item.mark.log_probabilities) whole["log_probabilities"].push_back(shortest(ln_p));
  if (item.length) whole["length"] = *item.length;
  if (item.depth) whole["depth"] = *item.depth;
  return whole.dump(-1, ' ', false, json::error_handler_t::replace);
}

MarkedItem read_marked(std::int64_t index, const std::string& text) try {
  const json whole = json::parse(text);
  MarkedItem item{
      .index = index, .prompt_digest = whole.at("prompt_digest"), .length = {}, .depth = {}, .mark = {}};
  item.mark.answer = whole.at("answer");
  item.mark.prediction = whole.at("prediction");
  if (whole.contains("length")) item.length = whole["length"].get<std::int64_t>();
  if (whole.contains("depth")) item.depth = whole["depth"].get<double>();
  for (const json& value : whole.at("values")) {
    item.mark.values.push_back({.metric = value.at(0),
                                .value = std::stod(value.at(1).get<std::string>()),
                                .weight = std::stod(value.at(2).get<std::string>()),
                                .mean = value.at(3).get<bool>() ? Mean::exponential : Mean::plain,
                                .cell = value.at(4),
                                .prediction = {}});
    if (value.size() > 5) item.mark.values.back().prediction = value[5].get<std::string>();
  }
  if (whole.contains("log_probabilities")) {
    for (const json& ln_p : whole["log_probabilities"])
      item.mark.log_probabilities.push_back(std::stod(ln_p.get<std::string>()));
  }
  return item;
} catch (const std::exception& error) {
  throw Error(Code::failed,
              {.what = "an item of an interrupted evaluation cannot be read", .found = error.what()});
}

std::vector<Score> scores_of(const std::string& task, const std::string& settings_json,
                             std::span<const MarkedItem> items) {
  std::map<Key, Group> groups;
  for (const MarkedItem& item : items) {
    for (const ItemValue& value : item.mark.values)
      groups[{value.metric, item.length, item.depth, Cell{value.cell}}].add(item, value);
  }
  std::vector<Score> scores;
  for (const auto& [key, group] : groups) {
    const auto& [metric, length, depth, cell] = key;
    json settings = json::parse(settings_json);
    settings.update(json::parse(cell.json));
    Score score{
        .task = task, .metric = metric, .length = length, .depth = depth, .settings_json = settings.dump()};
    const bool is_weighted = std::ranges::any_of(group.parts, &Part::is_weighted);
    if (is_weighted || group.mean == Mean::exponential) {
      set_weighted_mean(score, group);
    } else {
      set_mean_of_items(score, group);
    }
    scores.push_back(std::move(score));
  }
  return scores;
}

void add_interval(Score& score) {
  if (score.low || score.items.empty()) return;
  std::vector<double> values;
  for (const ScoredItem& item : score.items) values.push_back(item.value);
  set_interval(score, values, std::vector<double>(values.size(), 1.0), Mean::plain);
}

}  // namespace mdnlab
