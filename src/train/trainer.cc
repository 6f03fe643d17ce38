#include "train/trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "train/checkpoint.h"
#include "train/options.h"

namespace mdnlab {

Trainer::Trainer(LanguageModel& model, const Task& task, const Params& train,
                 std::filesystem::path run_folder, std::string config_json)
    : model_(model),
      task_(task),
      options_(train),
      run_folder_(std::move(run_folder)),
      config_json_(std::move(config_json)),
      optimizer_(model.parameters(), train) {}

std::int64_t Trainer::resume(std::vector<std::string>& refused) {
  LatestCheckpoint latest = load_latest_checkpoint(run_folder_);
  refused = std::move(latest.refused);
  if (!latest.checkpoint) return 0;
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
  step_ = saved_step_ = latest.checkpoint->step;
  upcoming_.reset();
  return step_;
}

// The data position and the random state are both functions of the seed and the step: batches are drawn from
// streams numbered by sequence, and nothing else in a step is random.
void Trainer::checkpoint(const TrainingHooks& hooks) {
  if (saved_step_ == step_) return;
  if (hooks.before_checkpoint) hooks.before_checkpoint(step_);
  const std::int64_t sequences = step_ * options_.integer("tokens_per_step") / options_.integer("seq_len");
  const nlohmann::json state{{"step", step_},
                             {"sequence", sequences},
                             {"tokens", step_ * options_.integer("tokens_per_step")},
                             {"random", {{"seed", options_.integer("seed")}, {"stream", sequences}}}};
  Checkpoint content{.step = step_,
                     .optimizer = optimizer_.state(),
                     .state_json = state.dump(),
                     .config_json = config_json_};
  for (const Parameter& parameter : model_.parameters())
    content.model[parameter.name] = parameter.tensor.detach();
  save_checkpoint(run_folder_, content);
  saved_step_ = step_;
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
  const StepBatches batches =
      upcoming_ ? *std::exchange(upcoming_, {}) : read_step(task_, options_, step_, model_.device());
  StepResult result{.learning_rate = learning_rate(options_, step_)};
  const at::Tensor loss = forward_backward(batches), norm = optimizer_.clip();
  optimizer_.step(result.learning_rate, (loss + norm).isfinite().logical_not());
  if (step_ + 1 < options_.integer("steps"))
    upcoming_ = read_step(task_, options_, step_ + 1, model_.device());

  const at::Tensor found = at::stack({loss, norm}).cpu();
  result.loss = found[0].item<double>();
  result.grad_norm = found[1].item<double>();
  if (!std::isfinite(result.loss)) {
    result.fault = fmt::format("the loss is {} at step {}", result.loss, step_ + 1);
  } else if (!std::isfinite(result.grad_norm)) {
    result.fault =
        fmt::format("the gradient of {} is not finite at step {}", optimizer_.first_not_finite(), step_ + 1);
  }
  optimizer_.drop_gradients();
  if (result.fault.empty()) ++step_;
  return result;
}

TrainingResult Trainer::train(Sink& sink, const TrainingHooks& hooks) {
  using Clock = std::chrono::steady_clock;
  const std::int64_t steps = options_.integer("steps"), tokens_per_step = options_.integer("tokens_per_step");
  const std::int64_t checkpoint_every = options_.integer("checkpoint_every");
  const std::int64_t evaluate_every = options_.integer("evaluate_every");
  double seconds = 0, tokens = 0;
  while (step_ < steps) {
    const auto begin = Clock::now();
    const StepResult result = step();
    if (!result.fault.empty()) return {TrainingEnd::diverged, step_, result.fault};
    const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    seconds += elapsed;
    tokens += static_cast<double>(tokens_per_step);

    sink.metric(step_, "train/loss", result.loss);
    sink.metric(step_, "train/grad_norm", result.grad_norm);
    sink.metric(step_, "train/learning_rate", result.learning_rate);
    sink.metric(step_, "train/tokens_per_second", static_cast<double>(tokens_per_step) / elapsed);
    if (hooks.progress) hooks.progress({step_, steps, result.loss, tokens / seconds});
    if (evaluate_every > 0 && step_ % evaluate_every == 0 && hooks.evaluate) hooks.evaluate(step_);
    const bool stops = step_ < steps && hooks.should_stop && hooks.should_stop();
    if (stops || step_ == steps || (checkpoint_every > 0 && step_ % checkpoint_every == 0)) checkpoint(hooks);
    if (stops) return {TrainingEnd::interrupted, step_, {}};
  }
  return {TrainingEnd::finished, step_, {}};
}

}  // namespace mdnlab
