// Trains a model on a task, on the model's device. On the CPU every number it gives is a function of the
// options, the model's initial values and the task alone; a training that was stopped and resumed ends with
// the same bits.
#pragma once

#include <c10/core/Event.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "metric/sink.h"
#include "model/language_model.h"
#include "task/task.h"
#include "train/checkpoint_writer.h"
#include "train/optimizer.h"
#include "train/repeated_step.h"
#include "train/step_batches.h"
#include "train/training_state.h"

namespace mdnlab {

struct TrainingProgress {
  std::int64_t step = 0;  // done
  std::int64_t steps = 0;
  double loss = 0;
  double tokens_per_second = 0;  // since the process began to train, evaluations left out
  std::int64_t skipped = 0;      // of the steps done
};

struct TrainingHooks {
  std::function<bool()> should_stop;                      // asked after every step
  std::function<void(std::int64_t step)> evaluate;        // every evaluate_every steps
  std::function<void(const TrainingProgress&)> progress;  // after every step
  std::function<void(std::int64_t step)>
      before_checkpoint;  // every metric up to `step` must be durable after it; the folder appears later
};

// Where the loss or the gradient's norm is not finite, the step is skipped: parameters, moments and their
// step counts stay as they are, its data are passed over. After max_skipped_steps in a row one more is a
// fault: what was not finite first (train/not_finite.h), and the step is not done.
struct StepResult {
  double loss = 0;       // the mean over the step's labels
  double grad_norm = 0;  // before clipping
  double learning_rate = 0;
  bool is_skipped = false;
  std::string fault;
};

enum class TrainingEnd { finished, interrupted, diverged };

struct TrainingResult {
  TrainingEnd end;
  std::int64_t step = 0;  // steps done
  std::string cause;      // of a divergence
  std::int64_t skipped = 0;
};

class Trainer {
 public:
  // Checkpoints go to `run_folder`; config_json is kept with them.
  Trainer(LanguageModel& model, const Task& task, const Params& train, std::filesystem::path run_folder,
          std::string config_json);

  // Goes back to the newest good checkpoint, if there is one. Returns the steps done; `refused` says which
  // checkpoints were damaged.
  std::int64_t resume(std::vector<std::string>& refused);

  // One optimizer step. With `goes_on` the next one follows for certain: a GPU may be at it already.
  StepResult step(bool goes_on = false);

  // Emits train/loss, train/grad_norm, train/learning_rate and train/tokens_per_second at every step (counted
  // from 1), at a skipped one train/skipped_steps (so far) instead. Checkpoints are written while it goes on
  // and are there when it returns; one that fails is an Error after a later step.
  TrainingResult train(Sink& sink, const TrainingHooks& hooks);

 private:
  // A step on its way through the device.
  struct Queued {
    StepBatches batches;
    double learning_rate;
    at::Tensor found;                // loss and gradient norm, float64 on the host
    std::optional<c10::Event> read;  // after which they are there; none: they are
  };
  Queued queue(std::int64_t step);
  StepResult finish(const Queued& queued);
  at::Tensor work(const StepBatches& batches);
  void count(StepResult& result, const StepBatches& batches);
  void checkpoint(const TrainingHooks& hooks);
  TrainingResult train_steps(Sink& sink, const TrainingHooks& hooks);

  LanguageModel& model_;
  const Task& task_;
  const Params& options_;
  std::filesystem::path run_folder_;
  std::string config_json_;
  AdamW optimizer_;
  at::Tensor learning_rate_;
  RepeatedStep repeated_;
  StepRoom room_;
  std::optional<StepBatches> upcoming_;  // of the next step to queue, where they were read already
  std::optional<Queued> ahead_;
  TrainingState state_;
  std::int64_t saved_step_ = -1;  // of the newest checkpoint
  CheckpointWriter writer_;
};

}  // namespace mdnlab
