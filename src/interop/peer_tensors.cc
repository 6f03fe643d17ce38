#include "interop/peer_tensors.h"

#include <map>
#include <set>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "config/yaml.h"

namespace mdnlab {

namespace {

namespace fs = std::filesystem;

PeerTensors read_shards(const fs::path& folder, const fs::path& index) {
  const Node root = parse_yaml_file(index);
  const Node* map = root.find("weight_map");
  if (!map || map->kind != Node::Kind::map) {
    throw Error(Code::usage, {root.place, "the index has no map `weight_map`"});
  }
  std::map<std::string, std::set<std::string>> names;  // by file
  for (const Node::Entry& entry : map->entries) {
    const std::string& file = entry.value.scalar;
    if (entry.value.kind != Node::Kind::scalar || fs::path(file).filename() != file) {
      throw Error(Code::usage,
                  {entry.value.place, "tensor " + quote(entry.key) + " is in no file of the folder",
                   quote(file), "a file's name"});
    }
    names[file].insert(entry.key);
  }
  PeerTensors result{.tensors = {}, .file = index};
  for (const auto& [file, expected] : names) {
    TensorMap tensors = read_safetensors(folder / file).tensors;
    for (const std::string& name : expected) {
      if (tensors.contains(name)) continue;
      throw Error(Code::usage,
                  {.place = {.file = (folder / file).string()},
                   .what = "tensor " + quote(name) + " is missing, which the index says is here"});
    }
    for (const auto& [name, tensor] : tensors) {
      if (expected.contains(name)) continue;
      throw Error(Code::usage, {.place = {.file = (folder / file).string()},
                                .what = "tensor " + quote(name) + " is here, which the index does not say"});
    }
    result.tensors.merge(tensors);
  }
  return result;
}

}  // namespace

PeerTensors read_peer_tensors(const fs::path& folder) {
  const fs::path whole = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (fs::exists(whole)) return {.tensors = read_safetensors(whole).tensors, .file = whole};
  if (fs::exists(index)) return read_shards(folder, index);
  throw Error(Code::usage, {.place = {.file = folder.string()},
                            .what = "the folder has no weights",
                            .expected = "model.safetensors or model.safetensors.index.json"});
}

}  // namespace mdnlab
