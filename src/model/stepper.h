// The steps of decoding: R sequences side by side, a token each at a time. On a GPU a step is recorded once
// and then played whole (ops/recording.h).
#pragma once

#include <cstdint>
#include <memory>

#include "model/language_model.h"
#include "ops/recording.h"

namespace mdnlab {

class Stepper {
 public:
  // Goes on from what hidden() left of R sequences. `model` is LanguageModel::without_gradients(), and stays.
  Stepper(const LanguageModel& model, const ModelState& state);

  // Reads a token of each sequence, (R) int64 on any device, and gives the next ones' logits (R,vocabulary),
  // which the next call may write over.
  at::Tensor step(const at::Tensor& tokens_R);

  // The likeliest token of each sequence by those logits, (R) int64 on the model's device: likewise.
  const at::Tensor& likeliest() const { return tokens_R_; }

  // step(likeliest()), and nothing goes by way of the host.
  at::Tensor step_likeliest();

  // What hidden() would have left.
  const ModelState& state() const { return state_; }

 private:
  void make_room();
  void record();
  void work();
  at::Tensor run();

  const LanguageModel& model_;
  ModelState state_;
  std::int64_t room_ = 0, steps_ = 0;
  at::Tensor tokens_R_, logits_RV_;  // tokens: that are read next; likeliest ones when a step is over
  std::unique_ptr<ops::Recording> recording_;
};

}  // namespace mdnlab
