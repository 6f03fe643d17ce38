// AdamW over all parameters of a model at once.
#pragma once

#include <cstdint>
#include <vector>

#include "config/params.h"
#include "interop/safetensors.h"
#include "model/language_model.h"

namespace mdnlab {

class AdamW {
 public:
  AdamW(const std::vector<Parameter>& parameters, const Params& train);

  // Scales the gradients so that their global norm is at most max_norm (0: never). Returns the norm before.
  double clip();

  void step(double learning_rate);  // then drops the gradients

  // The name of the first parameter whose gradient is not finite, or "".
  std::string first_not_finite() const;

  // The moments and the step count, by name; load() is the inverse. A missing or misshapen tensor is
  // Code::failed.
  TensorMap state() const;
  void load(const TensorMap& state);

 private:
  struct Group {
    double weight_decay;
    std::vector<at::Tensor> parameters, first_moments, second_moments, steps;
    std::vector<std::string> names;
  };
  std::vector<at::Tensor> gradients(const Group& group) const;

  std::vector<Group> groups_;  // with decay, without
  double beta1_, beta2_, eps_, max_norm_;
};

}  // namespace mdnlab
