#include "data/jsonl.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace mdnlab {

namespace {

nlohmann::json parse_line(std::string_view line, const Place& place) {
  try {
    return nlohmann::json::parse(line);
  } catch (const nlohmann::json::parse_error& error) {
    // Before the first ": " the library's message counts lines of its own; after "last read" it may repeat
    // all of this one.
    std::string cause = error.what();
    if (const std::size_t start = cause.find(": "); start != std::string::npos) cause.erase(0, start + 2);
    cause.erase(std::min(cause.size(), cause.find("; last read")));
    throw Error(Code::usage, {.place = {place.file, place.line, static_cast<int>(error.byte)},
                              .what = "this line is no JSON: " + cause});
  } catch (const nlohmann::json::out_of_range&) {
    throw Error(Code::usage, {.place = place, .what = "this line holds a number beyond every double"});
  }
}

std::string text_of(const nlohmann::json& document, const std::string& field, const Place& place) {
  const std::string expected = "an object with a string under " + quote(field);
  if (!document.is_object()) {
    throw Error(Code::usage, {place, "this line is no document", document.type_name(), expected, {}});
  }
  const auto value = document.find(field);
  if (value == document.end()) {
    std::vector<std::string> keys;
    for (const auto& item : document.items()) keys.push_back(item.key());
    throw Error(Code::usage, {place, "this document has no " + quote(field), "keys " + join(keys, ", "),
                              expected, "name the key in data.text_field"});
  }
  if (!value->is_string()) {
    throw Error(Code::usage, {place, quote(field) + " is no text", value->type_name(), expected, {}});
  }
  return value->get<std::string>();
}

}  // namespace

void read_jsonl(std::string_view content, const std::string& file, const std::string& field,
                const std::function<void(std::string_view document)>& take) {
  for (int number = 1; !content.empty(); ++number) {
    const std::string_view line = content.substr(0, content.find('\n'));
    content.remove_prefix(std::min(content.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Place place{file, number};
    const std::string text = text_of(parse_line(line, place), field, place);
    if (!text.empty()) take(text);
  }
}

}  // namespace mdnlab
