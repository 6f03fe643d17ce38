#include "model/stepper.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "scan/upload.h"

namespace mdnlab {

namespace {

// Of attention's keys and values, whose room grows as the text does.
constexpr std::int64_t least_room = 256;

// A recording costs some steps' time; the first ones also load what it must not load.
constexpr std::int64_t steps_before_recording = 2;

}  // namespace

Stepper::Stepper(const LanguageModel& model, const ModelState& state) : model_(model), state_(state) {}

void Stepper::make_room() {
  recording_.reset();
  room_ = std::max(least_room, state_.layers.empty() ? 0 : state_.layers[0].position / 2);
  state_ = model_.decoding_state(state_, room_);
  steps_ = 0;
}

void Stepper::record() {
  const std::vector<LayerState> before = state_.layers;
  recording_ = ops::record(model_.device(), [&] { work(); });
  for (std::size_t i = 0; i < before.size(); ++i) state_.layers[i].position = before[i].position;
}

void Stepper::work() {
  logits_RV_ = model_.step(tokens_R_, state_);
  model_.likeliest(logits_RV_, tokens_R_);
}

at::Tensor Stepper::run() {
  const at::NoGradGuard no_grad;
  if (steps_ == steps_before_recording && model_.device().is_cuda()) record();
  if (recording_) {
    recording_->play();
    for (LayerState& layer : state_.layers) ++layer.position;
  } else {
    work();
  }
  ++steps_;
  return logits_RV_;
}

at::Tensor Stepper::step(const at::Tensor& tokens_R) {
  if (steps_ == room_) make_room();
  if (!tokens_R_.defined()) tokens_R_ = at::empty_like(tokens_R, tokens_R.options().device(model_.device()));
  tokens_R_.copy_(upload(tokens_R, model_.device()));
  return run();
}

at::Tensor Stepper::step_likeliest() {
  if (steps_ == room_) make_room();
  return run();
}

}  // namespace mdnlab
