// One layer of a rule for tests: small, its learned values drawn so widely that every gate moves.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "rule/loader.h"

namespace mdnlab {

// A rule with options, as the tests go through them.
struct LayerCase {
  std::string rule;
  std::vector<std::string> options;  // key=value
  std::int64_t conv_size = 4;

  std::string name() const;  // for the test's name
};
void PrintTo(const LayerCase& layer, std::ostream* stream);

std::vector<LayerCase> family_cells();  // delta × momentum × decay, with every gate constraint it may have
std::vector<LayerCase> layer_cases();   // every rule, and the options that change its arithmetic

const Plugins& plugins();  // those of the build
std::unique_ptr<Rule> make_rule(const std::string& name, const std::vector<std::string>& options,
                                const LayerShape& shape);

class Layer {
 public:
  static constexpr std::int64_t hidden = 8;

  explicit Layer(const LayerCase& choice, at::ScalarType dtype = at::kDouble);

  const Rule& rule() const { return *rule_; }
  const Weights& weights() const { return weights_; }

  // Everything at once, from nothing.
  at::Tensor whole(const at::Tensor& x_BTD, const ops::Documents& documents = {}) const;
  // Goes on from `state`.
  at::Tensor next(const at::Tensor& x_BTD, LayerState& state) const;

 private:
  std::unique_ptr<Rule> rule_;
  Weights weights_;
};

at::Tensor random_input(std::int64_t batch, std::int64_t tokens, at::ScalarType dtype = at::kDouble,
                        std::uint64_t seed = 1);

double relative_error(const at::Tensor& found, const at::Tensor& expected);  // of norms

}  // namespace mdnlab
