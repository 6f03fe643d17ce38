#include "model/sampling.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <optional>

namespace mdnlab {

std::vector<std::int64_t> highest_tokens(const at::Tensor& logits) {
  const at::Tensor tokens = logits.argmax(-1).cpu();
  const auto* first = tokens.const_data_ptr<std::int64_t>();
  return {first, first + tokens.numel()};
}

namespace {

struct Likely {
  double probability;
  std::int64_t token;
};

// The likeliest first, of equal ones the first.
std::vector<Likely> likeliest(const at::Tensor& probability, std::int64_t count) {
  const auto [highest, tokens] = probability.topk(count);
  const at::Tensor p = highest.cpu(), token = tokens.cpu();
  std::vector<Likely> list;
  for (std::int64_t i = 0; i < count; ++i)
    list.push_back({p.const_data_ptr<double>()[i], token.const_data_ptr<std::int64_t>()[i]});
  std::ranges::sort(list, [](const Likely& one, const Likely& other) {
    return one.probability != other.probability ? one.probability > other.probability
                                                : one.token < other.token;
  });
  return list;
}

// Where the sum over the first ones passes `share` of what top_p keeps. Of some of the tokens nullopt where
// the others may decide: they are as likely as the last of these, or less.
std::optional<std::int64_t> drawn(const std::vector<Likely>& list, double top_p, double share, bool are_all) {
  const double last = are_all ? -1 : list.back().probability;
  const auto may_decide = [&](const Likely& likely) { return likely.probability != last; };
  const auto known = std::ranges::find_if_not(list, may_decide);
  double kept = 0;
  auto end = list.begin();
  for (; end != known && kept < top_p; ++end) kept += end->probability;
  if (kept < top_p && !are_all) {
    if (top_p < 1) return std::nullopt;
    kept = 1;
  }
  double left = share * kept;
  for (auto likely = list.begin(); likely != end; ++likely) {
    left -= likely->probability;
    if (left < 0) return likely->token;
  }
  if (kept < 1 || are_all) return std::prev(end)->token;  // rounding
  return std::nullopt;
}

}  // namespace

std::int64_t sample_token(const at::Tensor& logits, const Sampling& sampling, Random& random,
                          std::int64_t few) {
  if (sampling.temperature == 0) return highest_tokens(logits.unsqueeze(0))[0];
  const at::Tensor probability = at::softmax(logits.to(at::kDouble) / sampling.temperature, -1);
  const double share = random.uniform();
  const std::int64_t all = probability.numel();
  if (few < all) {
    if (const auto token = drawn(likeliest(probability, few), sampling.top_p, share, false)) return *token;
  }
  return *drawn(likeliest(probability, all), sampling.top_p, share, true);
}

}  // namespace mdnlab
