// Models that a test stands in for, asked item by item: the values they are given, by metric and cell.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "task/item.h"

namespace mdnlab {

using Asked = std::map<std::pair<std::string, std::string>, std::vector<double>>;  // (metric, cell) → values

inline Asked ask_all(const Items& items, const std::function<Answer(const Item&)>& answer) {
  Asked asked;
  for (std::int64_t i = 0; i < items.count(); ++i) {
    const Item item = items.item(i);
    for (const ItemValue& value : items.mark(i, item, answer(item)).values)
      asked[{value.metric, value.cell}].push_back(value.value);
  }
  return asked;
}

inline double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace mdnlab
