// The options of `train:`.
#pragma once

#include <cstdint>
#include <span>

#include "config/params.h"

namespace mdnlab {

std::span<const Field> train_fields();

// Reads `train:` and resolves what follows from other options: tokens_per_step unset is one batch. An error
// when batch_size · seq_len does not divide tokens_per_step.
Params read_train(const Node& map);

// Batches whose gradients one step adds up (world size 1).
std::int64_t accumulation(const Params& train);

// Linear warm-up to lr, then a cosine down to lr · min_lr_ratio at the last step. `step` counts from 0.
double learning_rate(const Params& train, std::int64_t step);

}  // namespace mdnlab
