#include "config/plain.h"

#include <utility>

#include "base/text.h"

namespace mdnlab {

namespace {

Node scalar(std::string text, const Place& place) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.scalar = std::move(text);
  node.place = place;
  return node;
}

}  // namespace

Node plain_node(std::string_view text, Type type, const Place& place) {
  if (type == Type::text) return scalar(std::string(text), place);
  std::string trimmed = trim(text);
  if (trimmed == "null") {
    Node null;
    null.place = place;
    return null;
  }
  const bool is_list = type == Type::integers || type == Type::reals || type == Type::texts;
  if (!is_list) return scalar(std::move(trimmed), place);
  if (trimmed.size() >= 2 && trimmed.front() == '[' && trimmed.back() == ']') {
    trimmed = trim(std::string_view(trimmed).substr(1, trimmed.size() - 2));
  }
  Node list;
  list.kind = Node::Kind::list;
  list.place = place;
  if (trimmed.empty()) return list;
  for (const std::string& item : split(trimmed, ',')) list.items.push_back(scalar(trim(item), place));
  return list;
}

}  // namespace mdnlab
