// AdamW over all parameters of a model at once, where they are: nothing is read on the host.
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

  // Scales the gradients so that their global norm is at most max_norm (0: never); they stay as they are
  // where it is not finite. Returns the norm before, float64.
  at::Tensor clip();

  // `learning_rate` as rate_tensor() makes it. Changes nothing where `skip` (a bool on the parameters'
  // device) is true.
  void step(const at::Tensor& learning_rate, const at::Tensor& skip);
  at::Tensor rate_tensor() const;  // a scalar, on the parameters' device
  void drop_gradients();

  // The moments and the step count, by name, on the parameters' device; load() is the inverse, from any. A
  // missing or misshapen tensor is Code::failed.
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
