#include "report/state_sizes.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "report/retention_scores.h"
#include "report/shown.h"

namespace mdnlab {

namespace {

constexpr double as_good_as_equal = 1.2;

bool is_ceiling(const Choice* choice) { return choice->rule == ceiling_rule; }

double octaves(double bytes, double from) { return std::abs(std::log2(std::max(1.0, bytes) / from)); }

double middle(const StateSize& size) {
  return std::sqrt(std::max(1.0, static_cast<double>(size.least)) *
                   std::max(1.0, static_cast<double>(size.most)));
}

std::size_t rules_of(const StateSize& size) {
  std::set<std::string> rules;
  for (const Choice* choice : size.choices) rules.insert(choice->rule);
  return rules.size();
}

}  // namespace

std::string StateSize::words() const {
  if (most == 0) return "state unknown";
  std::string low = bytes_text(least);
  const std::string high = bytes_text(most);
  if (low == high) return high + " of state";
  const auto unit = [](const std::string& text) { return text.substr(text.find(' ')); };
  if (unit(low) == unit(high)) low.erase(low.find(' '));
  return low + " to " + high + " of state";
}

std::vector<StateSize> state_sizes(const std::vector<const Choice*>& choices) {
  std::vector<const Choice*> ordered;
  std::ranges::copy_if(choices, std::back_inserter(ordered),
                       [](const Choice* one) { return !is_ceiling(one); });
  if (ordered.empty()) ordered = choices;
  std::ranges::stable_sort(ordered, {}, &Choice::state_bytes);
  std::vector<StateSize> sizes;
  for (const Choice* choice : ordered) {
    const std::int64_t bytes = choice->state_bytes;
    if (sizes.empty() ||
        static_cast<double>(bytes) > as_good_as_equal * static_cast<double>(sizes.back().least))
      sizes.push_back({.least = bytes, .most = bytes, .choices = {}});
    sizes.back().most = bytes;
    sizes.back().choices.push_back(choice);
  }
  const auto first = std::ranges::max_element(sizes, {}, [](const StateSize& size) {
    return std::pair(rules_of(size), -octaves(middle(size), usual_state_bytes));
  });
  if (first != sizes.end()) std::rotate(sizes.begin(), first, std::next(first));
  return sizes;
}

const Choice* ceiling_beside(const StateSize& size, const std::vector<const Choice*>& choices) {
  const Choice* nearest = nullptr;
  const auto distance = [&](const Choice* choice) {
    return octaves(static_cast<double>(choice->state_bytes), middle(size));
  };
  for (const Choice* choice : choices) {
    if (is_ceiling(choice) && (nearest == nullptr || distance(choice) < distance(nearest))) nearest = choice;
  }
  return std::ranges::find(size.choices, nearest) == size.choices.end() ? nearest : nullptr;
}

}  // namespace mdnlab
