#include "base/text.h"
#include "config/params.h"
#include "config/plain.h"

namespace mdnlab {

namespace {

// A key that the table lacks is refused by read_params; its value may be of any type until then.
Type type_of(std::span<const Field> fields, std::string_view name) {
  for (const Field& field : fields) {
    if (field.name == name) return field.type;
  }
  return Type::text;
}

}  // namespace

Params read_settings(std::span<const std::string> words, std::string_view section,
                     std::span<const Field> fields) {
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
    map.entries.push_back({key, place, plain_node(word.substr(sign + 1), type_of(fields, key), place)});
  }
  return read_params(map, section, fields);
}

}  // namespace mdnlab
