#include "report/retention_scores.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>

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
  return Recovered{.context_tokens = question.length.value_or(0),
                   .writes = writes.is_number() ? writes.get<std::int64_t>() : 0,
                   .lag = lag.get<std::int64_t>(),
                   .values = values.get<std::int64_t>()};
}

std::vector<Information> curve_of(const Choice& choice, const RetentionSetting& setting) {
  std::vector<Information> curve;
  for (const Recovered& point : recovered(choice)) {
    if (RetentionSetting{point.context_tokens, point.writes, point.values} == setting)
      curve.push_back({point.lag, mean_of(*point.answer)});
  }
  return curve;
}

}  // namespace

std::vector<Recovered> recovered(const Choice& choice) {
  std::vector<Recovered> points;
  for (const auto& [question, answer] : choice.answers) {
    std::optional<Recovered> point = point_of(question);
    if (!point || answer.seeds.empty()) continue;
    point->answer = &answer;
    points.push_back(*point);
  }
  std::ranges::sort(points, {}, [](const Recovered& point) {
    return std::tuple(point.context_tokens, point.writes, point.lag);
  });
  return points;
}

std::optional<RetentionSetting> retention_setting(const Choice& choice) {
  std::optional<RetentionSetting> best;
  for (const Recovered& point : recovered(choice)) {
    const RetentionSetting setting{point.context_tokens, point.writes, point.values};
    const bool is_further = !best || setting.context_tokens > best->context_tokens;
    if (is_further && retention(curve_of(choice, setting), setting.context_tokens, setting.values))
      best = setting;
  }
  return best;
}

Composite retention_composite(const RetentionSetting& setting) {
  return {.name = "retention",
          .takes =
              [setting](const Question& question) {
                const std::optional<Recovered> point = point_of(question);
                return point &&
                       RetentionSetting{point->context_tokens, point->writes, point->values} == setting &&
                       point->lag >= 16 && point->lag <= setting.context_tokens &&
                       std::has_single_bit(static_cast<std::uint64_t>(point->lag));
              },
          .part = [entropy = std::log2(static_cast<double>(setting.values))](
                      const Question&, double bits) { return std::max(0.0, bits) / entropy; }};
}

std::optional<HalfLife> half_life_of(const Choice& choice, const RetentionSetting& setting) {
  return half_life(curve_of(choice, setting));
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
