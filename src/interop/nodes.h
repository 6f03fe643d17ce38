// Documents made by the program: maps and scalars of a YAML tree.
#pragma once

#include <string>
#include <utility>

#include "config/yaml.h"

namespace mdnlab {

inline Node map_node(Place place) { return {.kind = Node::Kind::map, .place = std::move(place)}; }

inline Node scalar_node(std::string text, Place place) {
  return {.kind = Node::Kind::scalar, .scalar = std::move(text), .place = std::move(place)};
}

inline void add(Node& map, std::string key, Node value) {
  map.entries.push_back({std::move(key), value.place, std::move(value)});
}

}  // namespace mdnlab
