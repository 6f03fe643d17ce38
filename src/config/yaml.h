// A YAML document as a tree that keeps where everything stands, so that errors can point at it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mdnlab {

// Scalars stay text until a field table gives them a type. Map entries keep the order of the file.
struct Node {
  enum class Kind { null, scalar, list, map };
  struct Entry;

  Kind kind = Kind::null;
  std::string scalar;
  bool is_quoted = false;  // a quoted scalar is text, whatever it looks like
  Place place;
  std::vector<Node> items;     // list
  std::vector<Entry> entries;  // map

  const Node* find(std::string_view key) const;  // the value of `key` in a map, or null
  Node* find(std::string_view key);
};

struct Node::Entry {
  std::string key;
  Place place;  // of the key
  Node value;
};

// Code::usage with its place: a syntax error, an open quote, a duplicate key, a key that is no scalar, an
// anchor, alias or tag (documents say what they mean in one place), a second document, nesting past 64, an
// empty document, a byte that is not UTF-8, a control character. Columns count bytes. parse_* are the
// program's, not in libmdnlab: plugins are given Params.
Node parse_yaml(std::string_view text, const std::string& file);
Node parse_yaml_file(const std::filesystem::path& path);

// Sets the value at a dotted path (`train.lr`), making the maps on the way; a map value is merged
// into a map that is there, key by key. A path through a scalar or a list is an Error at `value.place`.
void set_path(Node& root, std::string_view dotted_path, const Node& value);
const Node* find_path(const Node& root, std::string_view dotted_path);

}  // namespace mdnlab
