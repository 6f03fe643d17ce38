// The head of a language model and what it says of labels: a linear map to V logits and their softmax, in
// chunks of rows, so that T × V logits never exist at once. N rows, D hidden, V vocabulary.
//
// hidden (N,D) is of the compute dtype, the weight (V,D) float32 (float64 for float64) and cast once a call,
// labels (N) int64 in [0, V) or kNoLabel, all on one device; nothing is read back from it. Logits are rounded
// to the compute dtype; their softmax and every sum over rows are float32 (float64 for float64). No atomics:
// the same bits each time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mdnlab::ops {

// Of a row that counts nothing: its loss and its gradient are 0.
inline constexpr std::int64_t kNoLabel = -100;

// Of a chunk's logits, at most; LibTorch's softmax, where no kernel of ours is, takes it up to three times
// more. A chunk has a power of two of rows: with GPT-2's vocabulary in bf16 4,096, whose product with a
// weight 1,024 wide is 128 tiles for the 132 multiprocessors of an H200.
inline constexpr std::int64_t kLogitsBytes = std::int64_t{512} << 20;

// scale · Σ −log p(label), a float64 scalar. Where a gradient is wanted, it is computed with the loss, scale
// included: backward only multiplies it by the gradient of the result, and by 1 not even that where a kernel
// of ours is. The weight's is summed over the chunks in float32.
at::Tensor linear_cross_entropy(const at::Tensor& hidden_ND, const at::Tensor& weight_VD,
                                const at::Tensor& labels_N, double scale,
                                std::int64_t logits_bytes = kLogitsBytes);

// log p(label) of each row, 0 without one, (N) in float32 (float64 for float64), without gradients.
at::Tensor label_log_probabilities(const at::Tensor& hidden_ND, const at::Tensor& weight_VD,
                                   const at::Tensor& labels_N, std::int64_t logits_bytes = kLogitsBytes);

}  // namespace mdnlab::ops
