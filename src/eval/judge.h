// What a model's hidden states say of labels.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "model/language_model.h"

namespace mdnlab {

// The only ids that there are, [first, second); none: all.
using Among = std::optional<std::pair<std::int64_t, std::int64_t>>;

// Both (N) on the CPU.
struct Judged {
  at::Tensor log_probability;  // float64: ln p of each label, renormalised over `among`; −∞ outside
  at::Tensor highest;          // bool: the label had the highest logit
};

// Of hidden (N,D) and labels int64 (N), both on the model's device. Logits exist for 64 MiB at a time.
Judged judge(const LanguageModel& model, const at::Tensor& hidden, const at::Tensor& labels,
             const Among& among);

}  // namespace mdnlab
