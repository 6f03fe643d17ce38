// The frozen folders of tests/data/peers, and models made on the spot.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/yaml.h"
#include "interop/stored_model.h"

namespace mdnlab {

inline const Plugins& plugins() {
  static const Plugins all;
  return all;
}

inline std::filesystem::path peers_folder() {
  return std::filesystem::path(std::getenv("MDNLAB_SOURCE")) / "tests/data/peers";
}

inline std::vector<std::string> peer_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(peers_folder())) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  return names;
}

inline nlohmann::ordered_json read_json(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return nlohmann::ordered_json::parse(stream);
}

// A model of these sections with its initial values.
inline StoredModel make_model(const std::string& yaml, std::int64_t vocab_size = 11) {
  StoredModel model{.spec = read_model(parse_yaml(yaml, "test.yaml"), plugins()), .vocab_size = vocab_size};
  const LanguageModel made(model.spec, plugins(), vocab_size, at::kFloat, 3);
  for (const Parameter& parameter : made.parameters())
    model.weights[parameter.name] = parameter.tensor.detach();
  return model;
}

}  // namespace mdnlab
