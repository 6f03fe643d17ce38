// A resolved option value and its JSON form.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace mdnlab {

struct Value;
using Values = std::vector<Value>;

// monostate: unset. Equal values have equal JSON.
struct Value : std::variant<std::monostate, bool, std::int64_t, double, std::string, Values> {
  using variant::variant;
  bool is_set() const { return index() != 0; }
};

std::string json_text(const Value& value);

}  // namespace mdnlab
