// Model sections written as YAML, read and built.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/yaml.h"
#include "model/language_model.h"
#include "model/spec.h"

namespace mdnlab {

inline const Plugins& plugins() {
  static const Plugins all;
  return all;
}

inline ModelSpec spec_of(const std::string& yaml) {
  return read_model(parse_yaml(yaml, "test.yaml"), plugins());
}

inline std::vector<std::string> layer_names(const ModelSpec& spec) {
  std::vector<std::string> names;
  for (const RuleChoice& layer : spec.layers) names.push_back(layer.name);
  return names;
}

inline std::int64_t parameters_of(const std::string& yaml, std::int64_t vocabulary = 50'257) {
  const ModelSpec spec = spec_of(yaml);
  return model_facts(spec, build_rules(spec, plugins()), vocabulary, 4096, at::kFloat).parameters;
}

}  // namespace mdnlab
