#include "config/value.h"

#include <nlohmann/json.hpp>

namespace mdnlab {

namespace {

nlohmann::json to_json(const Value& value) {
  if (const auto* truth = std::get_if<bool>(&value)) return *truth;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (const auto* real = std::get_if<double>(&value)) return *real == 0 ? 0.0 : *real;  // −0.0 equals 0.0
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* values = std::get_if<Values>(&value)) {
    auto array = nlohmann::json::array();
    for (const Value& item : *values) array.push_back(to_json(item));
    return array;
  }
  return nullptr;
}

}  // namespace

std::string json_text(const Value& value) {
  // Bytes that are no UTF-8 become U+FFFD: a value must be printable whatever it holds.
  return to_json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace mdnlab
