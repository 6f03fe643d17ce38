#include "train/trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "train/forward_backward.h"
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
      learning_rate_(optimizer_.rate_tensor()),
      repeated_([this](const StepBatches& batches) { return work(batches); }, train.boolean("cuda_graph")),
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

// Leaves no gradients: their memory serves the next forward pass.
at::Tensor Trainer::work(const StepBatches& batches) {
  const at::Tensor loss = forward_backward(model_, batches), norm = optimizer_.clip();
  optimizer_.step(learning_rate_, (loss + norm).isfinite().logical_not());
  optimizer_.drop_gradients();
  return at::stack({loss, norm});
}

Trainer::Queued Trainer::queue(std::int64_t step) {
  const auto read = [&](std::int64_t which) {
    const bool is_repeatable = repeated_.records() && model_.device().is_cuda();
    return read_step(task_, options_, which, model_.device(), is_repeatable ? &room_ : nullptr);
  };
  Queued queued{.batches = upcoming_ ? *std::exchange(upcoming_, {}) : read(step),
                .learning_rate = learning_rate(options_, step)};
  learning_rate_.fill_(queued.learning_rate);
  queued.found = repeated_.queue(queued.batches).to(at::kCPU, /*non_blocking=*/true);
  if (const at::Device device = model_.device(); !device.is_cpu()) {
    queued.read.emplace(device.type());
    queued.read->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  }
  if (step + 1 < options_.integer("steps")) upcoming_ = read(step + 1);
  return queued;
}

// The host reads the device once a step, and where it can, when the next one is on its way.
StepResult Trainer::step(bool goes_on) {
  const Queued now = ahead_ ? *std::exchange(ahead_, {}) : queue(state_.step);
  // A step that may turn out to be the last must find the model as it left it.
  const bool is_certain = state_.skipped_in_a_row < options_.integer("max_skipped_steps") &&
                          state_.step + 1 < options_.integer("steps");
  if (goes_on && is_certain && repeated_.is_recorded()) ahead_ = queue(state_.step + 1);
  return finish(now);
}

StepResult Trainer::finish(const Queued& queued) {
  if (queued.read) queued.read->synchronize();
  StepResult result{.loss = queued.found[0].item<double>(),
                    .grad_norm = queued.found[1].item<double>(),
                    .learning_rate = queued.learning_rate};
  result.is_skipped = !std::isfinite(result.loss + result.grad_norm);
  count(result, queued.batches);
  return result;
}

// One skipped step too many ends the run, and so does the last of a run that skipped all. Why is found by its
// forward and backward pass, once more.
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
    forward_backward(model_, batches);
    result.fault = fmt::format("{} at step {}{}; first not finite: {}", what, state_.step + 1, row,
                               first_not_finite(model_, batches));
    optimizer_.drop_gradients();
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
  const auto is_due = [](std::int64_t step, std::int64_t every) { return every > 0 && step % every == 0; };
  bool should_stop = false;
  double seconds = 0, tokens = 0;
  auto begin = Clock::now();
  while (state_.step < steps) {
    // A step that is on its way already began when the one before it ended.
    if (!ahead_) begin = Clock::now();
    const std::int64_t next = state_.step + 1;
    const StepResult result =
        step(!is_due(next, checkpoint_every) && !is_due(next, evaluate_every) && !should_stop);
    writer_.look();
    const std::int64_t done = state_.step;
    if (!result.fault.empty()) return {TrainingEnd::diverged, done, result.fault, state_.skipped};
    const double elapsed =
        std::chrono::duration<double>(Clock::now() - std::exchange(begin, Clock::now())).count();
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
    should_stop = should_stop || (done < steps && hooks.should_stop && hooks.should_stop());
    if (ahead_) continue;
    if (is_due(done, evaluate_every) && hooks.evaluate) hooks.evaluate(done);
    const bool stops = done < steps && should_stop;
    if (stops || done == steps || is_due(done, checkpoint_every)) checkpoint(hooks);
    if (stops) return {TrainingEnd::interrupted, done, {}, state_.skipped};
  }
  return {TrainingEnd::finished, state_.step, {}, state_.skipped};
}

}  // namespace mdnlab
