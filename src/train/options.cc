#include "train/options.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/text.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "batch_size",
     .type = Type::integer,
     .preset = Field::required,
     .doc = "sequences in one forward pass",
     .least = 1},
    {.name = "seq_len",
     .type = Type::integer,
     .preset = Field::required,
     .doc = "tokens of a training sequence",
     .least = 1},
    {.name = "tokens_per_step",
     .type = Type::integer,
     .preset = nullptr,
     .doc = "tokens of one optimizer step; a multiple of batch_size · seq_len, which it is when unset",
     .least = 1},
    {.name = "steps", .type = Type::integer, .preset = Field::required, .doc = "optimizer steps", .least = 1},
    {.name = "lr", .type = Type::real, .preset = "3e-4", .doc = "peak learning rate", .least = 0},
    {.name = "betas",
     .type = Type::reals,
     .preset = "[0.9, 0.95]",
     .doc = "AdamW's two averages",
     .least = 0,
     .most = 1},
    {.name = "eps", .type = Type::real, .preset = "1e-15", .doc = "AdamW's eps", .least = 0},
    {.name = "weight_decay",
     .type = Type::real,
     .preset = "0.1",
     .doc = "on matrices and convolutions; gates, norms and biases have none",
     .least = 0},
    {.name = "warmup_steps",
     .type = Type::integer,
     .preset = "0",
     .doc = "steps of linear warm-up",
     .least = 0},
    {.name = "min_lr_ratio",
     .type = Type::real,
     .preset = "0.1",
     .doc = "the cosine's end, as a share of lr",
     .least = 0,
     .most = 1},
    {.name = "max_norm",
     .type = Type::real,
     .preset = "1",
     .doc = "the gradient's norm is clipped to it; 0: never",
     .least = 0},
    {.name = "max_skipped_steps",
     .type = Type::integer,
     .preset = "5",
     .doc = "steps in a row skipped for a loss or gradient that is not finite; one more: diverged",
     .least = 0},
    {.name = "dtype",
     .type = Type::text,
     .preset = "f32",
     .doc = "of the forward and backward pass; parameters stay f32 (f64 for f64)",
     .choices = "f32|f64|bf16"},
    {.name = "threads",
     .type = Type::integer,
     .preset = "1",
     .doc = "CPU threads of the run; part of its key, since sums depend on it",
     .least = 1,
     .most = 1024},
    {.name = "deterministic",
     .type = Type::boolean,
     .preset = "false",
     .doc = "on a GPU too, two runs give the same bits; attention is slower then"},
    {.name = "cuda_graph",
     .type = Type::boolean,
     .preset = "true",
     .doc = "on a GPU, record a step once its batches keep their shapes, and repeat the recording"},
    {.name = "checkpoint_every",
     .type = Type::integer,
     .preset = "0",
     .doc = "steps between checkpoints; 0: only when interrupted and at the end",
     .least = 0},
    {.name = "evaluate_every",
     .type = Type::integer,
     .preset = "0",
     .doc = "steps between evaluations on the valid split; 0: never",
     .least = 0},
    {.name = "seed",
     .type = Type::integer,
     .preset = "0",
     .doc = "of initial values, data order and generated sequences",
     .least = 0}};

}  // namespace

std::span<const Field> train_fields() { return fields; }

Params read_train(const Node& map) {
  Params train = read_params(map, "train", fields);
  const std::int64_t batch = train.integer("batch_size") * train.integer("seq_len");
  if (!train.is_set("tokens_per_step")) train.set("tokens_per_step", batch);
  if (train.integer("tokens_per_step") % batch != 0) {
    throw train.error("tokens_per_step", "tokens_per_step is no whole number of batches",
                      "a multiple of batch_size · seq_len = " + grouped(batch));
  }
  if (train.reals("betas").size() != 2) throw train.error("betas", "betas are two numbers", "[0.9, 0.95]");
  for (const double beta : train.reals("betas")) {
    if (beta >= 1) throw train.error("betas", "each beta is below 1", "[0.9, 0.95]");
  }
  return train;
}

std::int64_t accumulation(const Params& train) {
  return train.integer("tokens_per_step") / (train.integer("batch_size") * train.integer("seq_len"));
}

double learning_rate(const Params& train, std::int64_t step) {
  const double peak = train.real("lr"), least = train.real("min_lr_ratio");
  const std::int64_t warmup = train.integer("warmup_steps"), steps = train.integer("steps");
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double left = static_cast<double>(std::max<std::int64_t>(1, steps - warmup));
  const double share = std::min(1.0, static_cast<double>(step - warmup) / left);
  return peak * (least + (1 - least) * 0.5 * (1 + std::cos(std::numbers::pi * share)));
}

}  // namespace mdnlab
