#include "base/text.h"
#include "config/params.h"
#include "config/yaml.h"

namespace mdnlab {

namespace {

const Field* find_field(std::span<const Field> fields, std::string_view name) {
  for (const Field& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

// A text is what stands behind the `=`, as it is: the shell has taken its own quotes away already.
Node setting_value(const std::string& value, const Place& place, bool is_text) {
  Node node;
  if (is_text || value.empty()) {
    node.kind = Node::Kind::scalar;
    node.scalar = value;
    node.is_quoted = true;
  } else {
    node = parse_yaml(value, place.file);
  }
  node.place = place;
  return node;
}

}  // namespace

Params read_settings(std::span<const std::string> words, std::string_view section, std::span<const Field> fields) {
  Node map;
  map.kind = Node::Kind::map;
  for (const std::string& word : words) {
    const Place place{.file = "--set " + word};
    const std::size_t sign = word.find('=');
    if (sign == std::string::npos || sign == 0) {
      throw Error(Code::usage, {.place = place, .what = "this is no setting", .expected = "key=value"});
    }
    const std::string key = word.substr(0, sign);
    if (map.find(key) != nullptr) {
      throw Error(Code::usage, {.place = place, .what = "key " + quote(key) + " is set twice"});
    }
    const Field* field = find_field(fields, key);
    const bool is_text = field != nullptr && field->type == Type::text;
    map.entries.push_back({key, place, setting_value(word.substr(sign + 1), place, is_text)});
  }
  return read_params(map, section, fields);
}

}  // namespace mdnlab
