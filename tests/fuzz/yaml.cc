// A YAML document: a tree whose nodes know their places, or an error at a place.
#include "config/yaml.h"
#include "target.h"

namespace {

using namespace mdnlab;

void check(const Node& node, int depth) {
  require(depth <= 64, "nesting past 64");
  require(node.place.line > 0 && node.place.column > 0, "a node without a place");
  for (const Node& item : node.items) check(item, depth + 1);
  for (const Node::Entry& entry : node.entries) {
    require(node.find(entry.key) == &entry.value, "a key twice");
    check(entry.value, depth + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_or_refuse([&] { check(parse_yaml({reinterpret_cast<const char*>(data), size}, "fuzz"), 0); });
  return 0;
}
