#include <algorithm>
#include <utility>

#include "base/text.h"
#include "config/yaml.h"

namespace mdnlab {

namespace {

// Merges a map into a map key by key, at every depth; anything else takes the place of what is there.
void assign(Node& target, const Node& value) {
  if (target.kind != Node::Kind::map || value.kind != Node::Kind::map) {
    target = value;
    return;
  }
  for (const Node::Entry& entry : value.entries) {
    if (Node* there = target.find(entry.key)) {
      assign(*there, entry.value);
    } else {
      target.entries.push_back(entry);
    }
  }
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == key; });
  return found == entries.end() ? nullptr : &found->value;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

void set_path(Node& root, std::string_view dotted_path, const Node& value) {
  const std::vector<std::string> keys = split(dotted_path, '.');
  if (std::find(keys.begin(), keys.end(), "") != keys.end()) {
    throw Error(Code::usage, {.place = value.place,
                              .what = "the path has an empty part",
                              .found = quote(dotted_path),
                              .expected = "keys joined by dots"});
  }
  Node* node = &root;
  std::string walked;
  for (const std::string& key : keys) {
    if (node->kind == Node::Kind::scalar || node->kind == Node::Kind::list) {
      throw Error(Code::usage,
                  {.place = value.place,
                   .what = "path " + quote(dotted_path) + " goes through " + quote(walked),
                   .found = node->kind == Node::Kind::list ? "a list" : "the value " + quote(node->scalar),
                   .expected = "a map there"});
    }
    if (node->kind == Node::Kind::null) {
      node->kind = Node::Kind::map;
      node->place = value.place;
    }
    Node* next = node->find(key);
    if (next == nullptr) {
      Node unset;
      unset.place = value.place;
      next = &node->entries.emplace_back(Node::Entry{key, value.place, std::move(unset)}).value;
    }
    node = next;
    walked += (walked.empty() ? "" : ".") + key;
  }
  assign(*node, value);
}

const Node* find_path(const Node& root, std::string_view dotted_path) {
  const Node* node = &root;
  for (const std::string& key : split(dotted_path, '.')) {
    node = node->find(key);
    if (node == nullptr) return nullptr;
  }
  return node;
}

}  // namespace mdnlab
