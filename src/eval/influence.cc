#include "eval/influence.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "scan/upload.h"

namespace mdnlab {

namespace {

constexpr std::int64_t tokens_at_once = 128;  // whose values share a pass

// A head's |c(t, t − lag)| by lag, t ascending.
using ByLag = std::map<std::int64_t, std::vector<double>>;

double median(std::vector<double> values) {
  const std::size_t half = values.size() / 2;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(half);
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// Of each head; none where the rule does not say.
std::vector<ByLag> measure_layer(const Rule& rule, const Weights& weights, const at::Tensor& x_BTD,
                                 const std::vector<std::int64_t>& lags) {
  std::vector<ByLag> heads;
  const std::int64_t tokens = x_BTD.size(1);
  for (std::int64_t first = 0; first < tokens; first += tokens_at_once) {
    const auto c_BTHi = rule.influence(x_BTD, weights, first, std::min(tokens_at_once, tokens - first));
    if (!c_BTHi) return {};
    heads.resize(static_cast<std::size_t>(c_BTHi->size(2)));
    for (const std::int64_t lag : lags) {
      const std::int64_t count = std::min(c_BTHi->size(3), tokens - lag - first);
      if (count <= 0) continue;
      const at::Tensor c_Hi =
          (*c_BTHi)[0].narrow(0, first + lag, count).diagonal(0, 0, 2).abs().to(at::kCPU, at::kDouble);
      for (std::size_t head = 0; head < heads.size(); ++head) {
        const at::Tensor row = c_Hi[static_cast<std::int64_t>(head)].contiguous();
        std::vector<double>& all = heads[head][lag];
        all.insert(all.end(), row.const_data_ptr<double>(), row.const_data_ptr<double>() + count);
      }
    }
  }
  return heads;
}

Answer measure(const LanguageModel& model, const Item& item) {
  std::map<std::pair<std::int64_t, std::int64_t>, ByLag> heads;  // (layer, head); ahead of them all together
  const auto measure_rule = [&](std::size_t layer, const Rule& rule, const Weights& weights,
                                const at::Tensor& x_BTD) {
    std::vector<ByLag> of_layer = measure_layer(rule, weights, x_BTD, item.influence_lags);
    for (std::size_t head = 0; head < of_layer.size(); ++head) {
      for (const auto& [lag, values] : of_layer[head]) {
        std::vector<double>& all = heads[{-1, -1}][lag];
        all.insert(all.end(), values.begin(), values.end());
      }
      heads[{static_cast<std::int64_t>(layer), static_cast<std::int64_t>(head)}] = std::move(of_layer[head]);
    }
  };
  (void)model.hidden(upload(at::tensor(item.prompt), model.device()).unsqueeze(0), {}, nullptr,
                     {.rule_input = measure_rule, .output = {}});
  if (heads.empty()) {
    throw Error(Code::usage, {.what = "no layer of the model says how much its outputs hold of a value",
                              .expected = "a rule that is linear in its values (Rule::influence)"});
  }
  Answer answer;
  for (const auto& [place, lags] : heads) {
    for (const auto& [lag, values] : lags)
      answer.influence.push_back({lag, place.first, place.second, median(values)});
  }
  return answer;
}

}  // namespace

std::vector<Answer> measure_influence(const LanguageModel& model, std::span<const Item> items) {
  const at::NoGradGuard no_grad;
  std::vector<Answer> answers;
  for (const Item& item : items) answers.push_back(measure(model, item));
  return answers;
}

}  // namespace mdnlab
