#include "eval/read_items.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "eval/judge.h"
#include "scan/upload.h"

namespace mdnlab {

namespace {

constexpr std::int64_t states_at_once = 32;  // of prompts that are gone on from, and of rows that go on
constexpr std::int64_t least_shared = 16;    // tokens of a prompt that are worth a state

// Tokens to read in a row, after those of a state, and what is asked of some of them: label i after token
// positions[i].
struct Reading {
  std::size_t item, list;  // whose answer's list it fills
  std::int64_t prompt;     // row of the state
  std::vector<std::int64_t> tokens, positions, labels;

  std::int64_t length() const { return static_cast<std::int64_t>(tokens.size()); }
};

bool shares_its_prompt(const Item& item) { return item.continuations.size() > 1; }
std::int64_t prompt_tokens(const Item& item) { return std::ssize(item.prompt); }

// Rows as wide as the longest waste little on the others.
bool are_alike(std::int64_t shortest, std::int64_t longest) {
  return longest - shortest <= std::max<std::int64_t>(16, shortest / 8);
}

// The end of the items from `first` on that are read together.
std::size_t end_of_group(std::span<const Item> items, std::size_t first, std::int64_t batch_tokens) {
  const Item& begin = items[first];
  std::size_t end = first + 1;
  std::int64_t shortest = prompt_tokens(begin), longest = shortest;
  for (; end < items.size(); ++end) {
    const Item& item = items[end];
    if (item.among != begin.among || shares_its_prompt(item) != shares_its_prompt(begin)) break;
    if (!shares_its_prompt(begin)) continue;
    shortest = std::min(shortest, prompt_tokens(item));
    longest = std::max(longest, prompt_tokens(item));
    const auto rows = static_cast<std::int64_t>(end - first) + 1;
    if (rows > states_at_once || rows * longest > batch_tokens || !are_alike(shortest, longest)) break;
  }
  return end;
}

// Tokens at the beginning of each of these prompts that are read once for all continuations; the last one is
// asked and stays with them.
std::int64_t shared_tokens(std::span<const Item> items) {
  if (!shares_its_prompt(items[0])) return 0;
  const std::int64_t shared = prompt_tokens(*std::ranges::min_element(items, {}, prompt_tokens)) - 1;
  return shared < least_shared ? 0 : shared;
}

ModelState read_prompts(const LanguageModel& model, std::span<const Item> items, std::int64_t tokens,
                        std::int64_t batch_tokens) {
  const auto rows = std::ssize(items);
  const std::int64_t segment = std::max<std::int64_t>(1, batch_tokens / rows);
  ModelState state;
  for (std::int64_t first = 0; first < tokens; first += segment) {
    const std::int64_t count = std::min(segment, tokens - first);
    const at::Tensor part = at::zeros({rows, count}, at::kLong);
    auto* out = part.data_ptr<std::int64_t>();
    for (const Item& item : items) out = std::copy_n(item.prompt.begin() + first, count, out);
    (void)model.hidden(upload(part, model.device()), {}, &state);
  }
  return state;
}

std::vector<Reading> readings_of(std::span<const Item> items, std::size_t first_item, std::int64_t shared) {
  std::vector<Reading> readings;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    const std::vector<std::int64_t> prompt(item.prompt.begin() + shared, item.prompt.end());
    const auto row = static_cast<std::int64_t>(i);
    for (std::size_t c = 0; c < item.continuations.size(); ++c) {
      const std::vector<std::int64_t>& continuation = item.continuations[c];
      Reading reading{first_item + i, c, row, prompt, {}, continuation};
      // The last token is asked for and never read.
      reading.tokens.insert(reading.tokens.end(), continuation.begin(), continuation.end() - 1);
      for (std::size_t t = 0; t < continuation.size(); ++t)
        reading.positions.push_back(static_cast<std::int64_t>(prompt.size() + t) - 1);
      readings.push_back(std::move(reading));
    }
    if (!item.labels.empty()) {
      Reading reading{first_item + i, 0, row, prompt, {}, {}};
      for (const Label& label : item.labels) {
        reading.positions.push_back(label.position);
        reading.labels.push_back(label.token);
      }
      reading.tokens.resize(static_cast<std::size_t>(reading.positions.back()) + 1);
      readings.push_back(std::move(reading));
    }
  }
  return readings;
}

void add(Answer& answer, std::size_t list, const Judged& judged, std::int64_t first, std::int64_t count) {
  if (answer.log_probabilities.size() <= list) {
    answer.log_probabilities.resize(list + 1);
    answer.highest.resize(list + 1);
  }
  const double* ln_p = judged.log_probability.const_data_ptr<double>() + first;
  const bool* highest = judged.highest.const_data_ptr<bool>() + first;
  auto& values = answer.log_probabilities[list];
  values.insert(values.end(), ln_p, ln_p + count);
  answer.highest[list].insert(answer.highest[list].end(), highest, highest + count);
}

// Tokens first … first+count−1 of each row; behind a row's end there is token 0.
at::Tensor tokens_of(std::span<const Reading> rows, std::int64_t first, std::int64_t count) {
  const at::Tensor tokens = at::zeros({std::ssize(rows), count}, at::kLong);
  auto* out = tokens.data_ptr<std::int64_t>();
  for (const Reading& row : rows) {
    const std::int64_t from = std::min(first, row.length()), to = std::min(first + count, row.length());
    std::copy(row.tokens.begin() + from, row.tokens.begin() + to, out);
    out += count;
  }
  return tokens;
}

// Rows by ascending length, read side by side: on from `state`, a row each, or from nothing.
void read_rows(const LanguageModel& model, std::span<const Reading> rows, ModelState state,
               const Among& among, std::int64_t batch_tokens, std::vector<Answer>& answers) {
  const at::Device device = model.device();
  const std::int64_t width = rows.back().length();
  const std::int64_t segment = std::max<std::int64_t>(1, batch_tokens / std::ssize(rows));
  const bool carries = !state.layers.empty() || segment < width;
  std::vector<std::size_t> asked(rows.size(), 0);
  for (std::int64_t first = 0; first < width; first += segment) {
    const std::int64_t count = std::min(segment, width - first);
    const at::Tensor hidden =
        model.hidden(upload(tokens_of(rows, first, count), device), {}, carries ? &state : nullptr)
            .flatten(0, 1);
    std::vector<std::int64_t> places, labels, counts;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const std::size_t before = asked[r];
      const auto& positions = rows[r].positions;
      for (; asked[r] < positions.size() && positions[asked[r]] < first + count; ++asked[r]) {
        places.push_back(static_cast<std::int64_t>(r) * count + positions[asked[r]] - first);
        labels.push_back(rows[r].labels[asked[r]]);
      }
      counts.push_back(static_cast<std::int64_t>(asked[r] - before));
    }
    if (places.empty()) continue;
    const Judged judged = judge(model, hidden.index_select(0, upload(at::tensor(places), device)),
                                upload(at::tensor(labels), device), among);
    std::int64_t at = 0;
    for (std::size_t r = 0; r < rows.size(); at += counts[r++])
      add(answers[rows[r].item], rows[r].list, judged, at, counts[r]);
  }
}

ModelState state_of(const ModelState& prompts, std::span<const Reading> readings, at::Device device) {
  std::vector<std::int64_t> rows;
  for (const Reading& reading : readings) rows.push_back(reading.prompt);
  const at::Tensor index = upload(at::tensor(rows), device);
  ModelState state = prompts;
  for (LayerState& layer : state.layers) {
    for (at::Tensor& tensor : layer.tensors) tensor = tensor.index_select(0, index);
  }
  return state;
}

}  // namespace

std::vector<Answer> read_items(const LanguageModel& model, std::span<const Item> items,
                               std::int64_t batch_tokens) {
  const at::NoGradGuard no_grad;
  std::vector<Answer> answers(items.size());
  for (std::size_t first_item = 0; first_item < items.size();) {
    const std::size_t end_item = end_of_group(items, first_item, batch_tokens);
    const std::span<const Item> group = items.subspan(first_item, end_item - first_item);
    const std::int64_t shared = shared_tokens(group);
    const ModelState prompts = read_prompts(model, group, shared, batch_tokens);
    std::vector<Reading> readings = readings_of(group, first_item, shared);
    std::ranges::stable_sort(readings, {}, &Reading::length);
    for (std::size_t first = 0; first < readings.size();) {
      std::size_t end = first + 1;
      for (; end < readings.size(); ++end) {
        const auto rows = static_cast<std::int64_t>(end - first) + 1;
        if (rows * readings[end].length() > batch_tokens || (shared > 0 && rows > states_at_once)) break;
        if (!are_alike(readings[first].length(), readings[end].length())) break;
      }
      const std::span<const Reading> rows = std::span(readings).subspan(first, end - first);
      read_rows(model, rows, shared > 0 ? state_of(prompts, rows, model.device()) : ModelState{},
                group[0].among, batch_tokens, answers);
      first = end;
    }
    first_item = end_item;
  }
  return answers;
}

}  // namespace mdnlab
