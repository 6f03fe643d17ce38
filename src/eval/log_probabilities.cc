#include "eval/log_probabilities.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/log_softmax.h>

#include <algorithm>

#include "scan/upload.h"

namespace mdnlab {

namespace {

constexpr std::int64_t segment_tokens = 4096;
constexpr std::int64_t head_tokens = 256;  // logits at once

}  // namespace

std::vector<double> log_probabilities(const LanguageModel& model, std::span<const std::int64_t> tokens) {
  std::vector<double> result;
  if (tokens.size() < 2) return result;
  const at::NoGradGuard no_grad;
  const at::Tensor all = upload(at::from_blob(const_cast<std::int64_t*>(tokens.data()),
                                              {1, static_cast<std::int64_t>(tokens.size())}, at::kLong),
                                model.device());
  const std::int64_t count = all.size(1) - 1;
  ModelState state;
  for (std::int64_t first = 0; first < count; first += segment_tokens) {
    const std::int64_t length = std::min(segment_tokens, count - first);
    const at::Tensor hidden =
        model.hidden(all.narrow(1, first, length), {}, count > segment_tokens ? &state : nullptr)[0];
    for (std::int64_t at = 0; at < length; at += head_tokens) {
      const std::int64_t rows = std::min(head_tokens, length - at);
      const at::Tensor next = all[0].narrow(0, first + at + 1, rows).unsqueeze(1);
      const at::Tensor chosen = at::log_softmax(model.logits(hidden.narrow(0, at, rows)), -1)
                                    .gather(1, next)
                                    .to(at::kCPU, at::kDouble)
                                    .contiguous();
      result.insert(result.end(), chosen.const_data_ptr<double>(), chosen.const_data_ptr<double>() + rows);
    }
  }
  return result;
}

}  // namespace mdnlab
