#include "train/trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "train/not_finite.h"
#include "train/options.h"

namespace mdnlab {

Trainer::Trainer(LanguageModel& model, const Task& task, const Params& train,
                 std::filesystem::path run_folder, std::string config_json)
    : model_(model),
      task_(task),
      options_(train),
      run_folder_(std::move(run_folder)),
      config_json_(std::move(config_json)),
      optimizer_(model.parameters(), train),
      writer_(run_folder_) {}

std::int64_t Trainer::resume(std::vector<std::string>& refused) {
  LatestCheckpoint latest = load_latest_checkpoint(run_folder_);
  refused = std::move(latest.refused);
  if (!latest.checkpoint) return 0;
  state_ = read_state(latest.checkpoint->state_json);
  const at::NoGradGuard no_grad;
  for (const Parameter& parameter : model_.parameters()) {
    const auto found = latest.checkpoint->model.find(parameter.name);
    if (found == latest.checkpoint->model.end() || found->second.sizes() != parameter.tensor.sizes()) {
      throw Error(Code::failed,
                  {{latest.folder.string()},
                   "the checkpoint does not fit the model",
                   found == latest.checkpoint->model.end() ? "no tensor " + parameter.name
                                                           : "another shape of " + parameter.name});
    }
    at::Tensor(parameter.tensor).copy_(found->second);
  }
  optimizer_.load(latest.checkpoint->optimizer);
  saved_step_ = state_.step;
  upcoming_.reset();
  return state_.step;
}

void Trainer::checkpoint(const TrainingHooks& hooks) {
  if (saved_step_ == state_.step) return;
  if (hooks.before_checkpoint) hooks.before_checkpoint(state_.step);
  Checkpoint content{.step = state_.step,
                     .optimizer = optimizer_.state(),
                     .state_json = state_json(state_, options_),
                     .config_json = config_json_};
  for (const Parameter& parameter : model_.parameters())
    content.model[parameter.name] = parameter.tensor.detach();
  writer_.write(std::move(content));
  saved_step_ = state_.step;
}

// The mean loss over the step's labels, float64 on the model's device; leaves its gradient. Every label of
// the step weighs the same, however the labels fall into batches.
at::Tensor Trainer::forward_backward(const StepBatches& step) {
  at::Tensor loss = at::zeros({}, at::TensorOptions(model_.device()).dtype(at::kDouble));
  for (const LabelledBatch& batch : step.batches) {
    const at::Tensor hidden = model_.hidden(batch.tokens_BT, batch.documents).flatten(0, 1);
    // Only what has a label reaches the head.
    const at::Tensor chosen = batch.positions.defined() ? hidden.index_select(0, batch.positions) : hidden;
    const at::Tensor sum =
        at::cross_entropy_loss(model_.logits(chosen), batch.labels, {}, at::Reduction::Sum);
    const at::Tensor share = sum / static_cast<double>(step.labels);
    share.backward();
    loss += share.detach();
  }
  return loss;
}

// The host reads the device once, when all of the step is on its way and the next one's batches are too.
StepResult Trainer::step() {
  const std::int64_t step = state_.step;
  const StepBatches batches =
      upcoming_ ? *std::exchange(upcoming_, {}) : read_step(task_, options_, step, model_.device());
  StepResult result{.learning_rate = learning_rate(options_, step)};
  const at::Tensor loss = forward_backward(batches), norm = optimizer_.clip();
  optimizer_.step(result.learning_rate, (loss + norm).isfinite().logical_not());
  if (step + 1 < options_.integer("steps")) upcoming_ = read_step(task_, options_, step + 1, model_.device());

  const at::Tensor found = at::stack({loss, norm}).cpu();
  result.loss = found[0].item<double>();
  result.grad_norm = found[1].item<double>();
  result.is_skipped = !std::isfinite(result.loss + result.grad_norm);
  count(result, batches);
  optimizer_.drop_gradients();
  return result;
}

// Reads the step's gradients where it is one skipped step too many; so is the last of a run that skipped all.
void Trainer::count(StepResult& result, const StepBatches& batches) {
  const bool is_too_many = state_.skipped_in_a_row == options_.integer("max_skipped_steps") ||
                           state_.skipped + 1 == options_.integer("steps");
  if (result.is_skipped && is_too_many) {
    const bool is_loss = !std::isfinite(result.loss);
    const double value = std::abs(is_loss ? result.loss : result.grad_norm);  // a nan has no sign
    const std::string what = fmt::format("the {} is {}", is_loss ? "loss" : "gradient's norm", value);
    const std::string row = state_.skipped_in_a_row > 0
                                ? fmt::format(", after {} skipped in a row", state_.skipped_in_a_row)
                                : "";
    result.fault = fmt::format("{} at step {}{}; first not finite: {}", what, state_.step + 1, row,
                               first_not_finite(model_, batches));
    return;
  }
  ++state_.step;
  state_.skipped += result.is_skipped;
  state_.skipped_in_a_row = result.is_skipped ? state_.skipped_in_a_row + 1 : 0;
}

TrainingResult Trainer::train(Sink& sink, const TrainingHooks& hooks) {
  TrainingResult result = train_steps(sink, hooks);
  writer_.wait();
  return result;
}

TrainingResult Trainer::train_steps(Sink& sink, const TrainingHooks& hooks) {
  using Clock = std::chrono::steady_clock;
  const std::int64_t steps = options_.integer("steps"), tokens_per_step = options_.integer("tokens_per_step");
  const std::int64_t checkpoint_every = options_.integer("checkpoint_every");
  const std::int64_t evaluate_every = options_.integer("evaluate_every");
  double seconds = 0, tokens = 0;
  while (state_.step < steps) {
    const auto begin = Clock::now();
    const StepResult result = step();
    writer_.look();
    const std::int64_t done = state_.step;
    if (!result.fault.empty()) return {TrainingEnd::diverged, done, result.fault, state_.skipped};
    const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    seconds += elapsed;
    tokens += static_cast<double>(tokens_per_step);

    if (result.is_skipped) {
      sink.metric(done, "train/skipped_steps", static_cast<double>(state_.skipped));
    } else {
      sink.metric(done, "train/loss", result.loss);
      sink.metric(done, "train/grad_norm", result.grad_norm);
      sink.metric(done, "train/learning_rate", result.learning_rate);
      sink.metric(done, "train/tokens_per_second", static_cast<double>(tokens_per_step) / elapsed);
    }
    if (hooks.progress) hooks.progress({done, steps, result.loss, tokens / seconds, state_.skipped});
    if (evaluate_every > 0 && done % evaluate_every == 0 && hooks.evaluate) hooks.evaluate(done);
    const bool stops = done < steps && hooks.should_stop && hooks.should_stop();
    if (stops || done == steps || (checkpoint_every > 0 && done % checkpoint_every == 0)) checkpoint(hooks);
    if (stops) return {TrainingEnd::interrupted, done, {}, state_.skipped};
  }
  return {TrainingEnd::finished, state_.step, {}, state_.skipped};
}

}  // namespace mdnlab
