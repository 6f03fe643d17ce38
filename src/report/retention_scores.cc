#include "report/retention_scores.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>

#include "base/text.h"

namespace mdnlab {

namespace {

double mean_of(const Answer& answer) {
  double sum = 0;
  for (const Measured& seed : answer.seeds) sum += seed.value;
  return sum / static_cast<double>(answer.seeds.size());
}

std::optional<Recovered> point_of(const Question& question) {
  if (question.task != "retention" || question.metric != "information_bits") return std::nullopt;
  const auto lag = question.setting("lag"), writes = question.setting("writes"),
             values = question.setting("values");
  if (!lag.is_number() || !values.is_number()) return std::nullopt;
  return Recovered{.length = question.length.value_or(0),
                   .writes = writes.is_number() ? writes.get<std::int64_t>() : 0,
                   .lag = lag.get<std::int64_t>(),
                   .values = values.get<std::int64_t>()};
}

std::vector<Information> curve_of(const std::vector<Recovered>& points, const RetentionSetting& setting) {
  std::vector<Information> curve;
  for (const Recovered& point : points) {
    if (setting.has(point)) curve.push_back({point.lag, mean_of(*point.answer)});
  }
  return curve;
}

}  // namespace

bool RetentionSetting::counts(const Recovered& point) const {
  return has(point) && point.lag >= 16 && point.lag <= furthest &&
         std::has_single_bit(static_cast<std::uint64_t>(point.lag));
}

std::vector<Recovered> recovered(const Choice& choice) {
  std::vector<Recovered> points;
  for (const auto& [question, answer] : choice.answers) {
    std::optional<Recovered> point = point_of(question);
    if (!point || answer.seeds.empty()) continue;
    point->answer = &answer;
    points.push_back(*point);
  }
  const auto asked = [](const Recovered& point) { return std::tuple(point.values, point.writes, point.lag); };
  std::ranges::sort(points, {}, asked);
  if (std::ranges::adjacent_find(points, {}, asked) == points.end()) {
    for (Recovered& point : points) point.length = 0;
  }
  std::ranges::stable_sort(points, {}, &Recovered::length);
  return points;
}

std::string writes_words(std::int64_t writes) {
  return grouped(writes) + (writes == 1 ? " write" : " writes") + " in between";
}

std::optional<RetentionSetting> retention_setting(const Choice& choice) {
  const std::vector<Recovered> points = recovered(choice);
  std::optional<RetentionSetting> best;
  for (const Recovered& point : points) {
    RetentionSetting setting{.length = point.length, .writes = point.writes, .values = point.values};
    setting.furthest = furthest_lag(curve_of(points, setting));
    const bool is_better = !best || setting.furthest > best->furthest ||
                           (setting.furthest == best->furthest && setting.writes < best->writes);
    if (setting.furthest > 0 && is_better) best = setting;
  }
  return best;
}

std::vector<RetentionSetting> retention_settings(const Choice& choice) {
  const std::optional<RetentionSetting> fewest = retention_setting(choice);
  if (!fewest) return {};
  std::vector<RetentionSetting> settings{*fewest};
  for (const Recovered& point : recovered(choice)) {
    RetentionSetting more = *fewest;
    more.writes = point.writes;
    if (more.writes > settings.back().writes && more.counts(point)) settings.push_back(more);
  }
  return settings;
}

Composite retention_composite(const RetentionSetting& setting) {
  Composite composite = crossed_retention_composite({setting});
  composite.name = "retention";
  return composite;
}

Composite crossed_retention_composite(const std::vector<RetentionSetting>& settings) {
  return {.name = "retention_over_writes",
          .takes =
              [settings](const Question& question) {
                const std::optional<Recovered> point = point_of(question);
                return point && std::ranges::any_of(settings, [&](const RetentionSetting& setting) {
                         Recovered asked = *point;
                         if (setting.length == 0) asked.length = 0;
                         return setting.counts(asked);
                       });
              },
          .part = [values = settings.at(0).values](const Question&,
                                                   double bits) { return retained_share(bits, values); }};
}

Composite overwrite_composite() {
  return {.name = "overwrite_bits", .takes = [](const Question& question) {
            return question.task == "retention" && question.metric == "overwrite_bits";
          }};
}

std::optional<HalfLife> half_life_of(const Choice& choice, const RetentionSetting& setting) {
  return half_life(curve_of(recovered(choice), setting));
}

std::optional<Capacity> capacity_of(const Choice& choice) {
  std::vector<Recall> recalls;
  for (const auto& [question, answer] : choice.answers) {
    const auto pairs = question.setting("pairs");
    if (question.task != "retention" || question.metric != "recall" || !pairs.is_number() ||
        answer.seeds.empty())
      continue;
    recalls.push_back({.pairs = pairs.get<std::int64_t>(),
                       .recall = mean_of(answer),
                       .weight = static_cast<double>(std::max<std::int64_t>(1, answer.items))});
  }
  if (recalls.empty()) return std::nullopt;
  return capacity_90(std::move(recalls));
}

}  // namespace mdnlab
