// What a model is, before any tensor exists: its options, the rule of each layer, and what follows from them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "config/params.h"
#include "config/yaml.h"
#include "rule/loader.h"

namespace mdnlab {

struct RuleChoice {
  std::string name;
  Params options;
};

struct ModelSpec {
  Params options;                  // model_fields()
  std::vector<RuleChoice> layers;  // one a layer

  std::int64_t hidden_size() const { return options.integer("hidden_size"); }
  LayerShape layer_shape(std::size_t layer) const;
  std::int64_t intermediate_size() const;  // 0: blocks without an MLP
  std::string rule_text() const;           // "mdn", or "3×mdn + attention" for a hybrid

  // {"rule": …, "model": …}, resolved; the layers' rules are in `model` where they differ. read_model reads
  // it.
  std::string json() const;
};

std::span<const Field> model_fields();

// Reads the sections `rule:` and `model:` of a configuration. A rule is a name or {name: …, options}. Layers
// follow `model.layers` (a list of rules) or `model.ratio` ("3:1": three of `rule`, then one attention), else
// all are `rule`.
ModelSpec read_model(const Node& root, const Plugins& plugins);

// The rules of the layers, built: a rule that refuses its options or the shape is an Error.
std::vector<std::unique_ptr<Rule>> build_rules(const ModelSpec& spec, const Plugins& plugins);

// Every learned tensor of the model, full names, in order.
std::vector<ParameterSpec> parameter_specs(const ModelSpec& spec,
                                           std::span<const std::unique_ptr<Rule>> rules,
                                           std::int64_t vocab_size);

struct ModelFacts {
  std::int64_t parameters = 0;
  std::int64_t state_bytes = 0;  // everything one sequence needs to go on after context_tokens
  double flops_per_token = 0;    // of training: 3 × the forward pass; embeddings left out
};
ModelFacts model_facts(const ModelSpec& spec, std::span<const std::unique_ptr<Rule>> rules,
                       std::int64_t vocab_size, std::int64_t context_tokens, at::ScalarType dtype);

// f32, f64, bf16, f16 as in the YAML.
at::ScalarType dtype_of(std::string_view word);

}  // namespace mdnlab
