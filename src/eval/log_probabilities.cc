#include "eval/log_probabilities.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>

#include "ops/cross_entropy.h"
#include "scan/upload.h"

namespace mdnlab {

namespace {

constexpr std::int64_t segment_tokens = 4096;
constexpr std::int64_t logits_bytes = std::int64_t{64} << 20;  // at once

}  // namespace

std::vector<double> log_probabilities(const LanguageModel& given, std::span<const std::int64_t> tokens) {
  std::vector<double> result;
  if (tokens.size() < 2) return result;
  const LanguageModel model = given.without_gradients();
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
    const at::Tensor chosen =
        ops::label_log_probabilities(hidden, model.head(), all[0].narrow(0, first + 1, length), logits_bytes)
            .to(at::kCPU, at::kDouble);
    result.insert(result.end(), chosen.const_data_ptr<double>(), chosen.const_data_ptr<double>() + length);
  }
  return result;
}

}  // namespace mdnlab
