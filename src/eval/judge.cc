#include "eval/judge.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace mdnlab {

namespace {

constexpr std::int64_t logits_bytes = std::int64_t{64} << 20;  // at once

}  // namespace

Judged judge(const LanguageModel& model, const at::Tensor& hidden, const at::Tensor& labels,
             const Among& among) {
  const std::int64_t at_once = std::max<std::int64_t>(1, logits_bytes / (8 * model.vocab_size()));
  std::vector<at::Tensor> log_probability, highest;
  for (std::int64_t first = 0; first < labels.size(0); first += at_once) {
    const std::int64_t count = std::min(at_once, labels.size(0) - first);
    at::Tensor logits = model.logits(hidden.narrow(0, first, count));
    at::Tensor label = labels.narrow(0, first, count);
    at::Tensor is_there = label >= 0;
    if (among) {
      logits = logits.narrow(1, among->first, among->second - among->first);
      label = label - among->first;
      is_there = (label >= 0) & (label < logits.size(1));
      label = label.clamp(0, logits.size(1) - 1);
    }
    const at::Tensor chosen =
        at::log_softmax(logits, -1).gather(1, label.unsqueeze(1)).squeeze(1).to(at::kDouble);
    log_probability.push_back(at::where(is_there, chosen, -std::numeric_limits<double>::infinity()));
    highest.push_back((logits.argmax(-1) == label) & is_there);
  }
  return {at::cat(log_probability).cpu(), at::cat(highest).cpu()};
}

}  // namespace mdnlab
