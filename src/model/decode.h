// Decoding: several sequences side by side, each going on from a prompt of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/language_model.h"

namespace mdnlab {

inline constexpr std::int64_t prompt_segment_tokens = 4096;

// Sees the logits (R,vocabulary) of R sequences' next tokens, on the model's device, and which sequences
// these are; returns a token for each, or end_of_sequence. Sequences that go on are asked again.
inline constexpr std::int64_t end_of_sequence = -1;
using ChooseTokens = std::function<std::vector<std::int64_t>(const at::Tensor& logits_RV,
                                                             std::span<const std::size_t> sequences)>;

// Prompts (none empty, ids of the vocabulary) are read by the chunkwise scan, in segments with the state
// carried on, so that the memory of a recurrent rule does not grow with their length; then each token by a
// decode step. Without gradients. Returns when every sequence has ended.
//
// All sequences read equally many tokens at a time: no more than the shortest rest of a prompt among them,
// and one as soon as one of them writes. So there is no padding, no rule knows of the others, and each
// sequence's logits are those that it has alone, within rounding. Prompts of about one length lose nothing by
// it; group them so (eval/ask.h).
void decode(const LanguageModel& model, const std::vector<std::vector<std::int64_t>>& prompts,
            const ChooseTokens& choose, std::int64_t segment_tokens = prompt_segment_tokens);

}  // namespace mdnlab
