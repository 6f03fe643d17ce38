#include "model/sampling.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/softmax.h>

namespace mdnlab {

std::vector<std::int64_t> highest_tokens(const at::Tensor& logits) {
  const at::Tensor tokens = logits.argmax(-1).cpu();
  const auto* first = tokens.const_data_ptr<std::int64_t>();
  return {first, first + tokens.numel()};
}

std::int64_t sample_token(const at::Tensor& logits, const Sampling& sampling, Random& random) {
  if (sampling.temperature == 0) return highest_tokens(logits.unsqueeze(0))[0];
  const at::Tensor probability = at::softmax(logits.to(at::kCPU, at::kDouble) / sampling.temperature, -1);
  const auto [sorted, order] = probability.sort(/*stable=*/true, -1, /*descending=*/true);
  const auto* p = sorted.const_data_ptr<double>();
  const auto* token = order.const_data_ptr<std::int64_t>();
  std::int64_t kept = 0;
  double sum = 0;
  while (kept < sorted.numel() && sum < sampling.top_p) sum += p[kept++];
  double left = random.uniform() * sum;
  for (std::int64_t i = 0; i < kept; ++i) {
    left -= p[i];
    if (left < 0) return token[i];
  }
  return token[kept - 1];  // rounding
}

}  // namespace mdnlab
