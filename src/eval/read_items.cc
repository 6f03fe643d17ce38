#include "eval/read_items.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "ops/documents.h"
#include "scan/upload.h"

namespace mdnlab {

namespace {

constexpr std::int64_t logits_bytes = std::int64_t{64} << 20;  // at once

using Among = std::optional<std::pair<std::int64_t, std::int64_t>>;

// Tokens to read, and what is asked of some of them: label i after token positions[i].
struct Reading {
  std::size_t item, list;  // whose answer's list it fills
  std::vector<std::int64_t> tokens, positions, labels;
  Among among;

  std::int64_t length() const { return static_cast<std::int64_t>(tokens.size()); }
};

std::vector<Reading> readings_of(std::span<const Item> items) {
  std::vector<Reading> readings;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    for (std::size_t c = 0; c < item.continuations.size(); ++c) {
      const std::vector<std::int64_t>& continuation = item.continuations[c];
      Reading reading{i, c, item.prompt, {}, continuation, item.among};
      // The last token is asked for and never read.
      reading.tokens.insert(reading.tokens.end(), continuation.begin(), continuation.end() - 1);
      for (std::size_t t = 0; t < continuation.size(); ++t)
        reading.positions.push_back(static_cast<std::int64_t>(item.prompt.size() + t) - 1);
      readings.push_back(std::move(reading));
    }
    if (!item.labels.empty()) {
      Reading reading{i, 0, item.prompt, {}, {}, item.among};
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

// ln p of each label after hidden (N,D), and whether it had the highest logit: both (N) on the CPU.
struct Judged {
  at::Tensor log_probability, highest;
};

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

// One after another in a row, each a document of its own.
void read_packed(const LanguageModel& model, std::span<const Reading> readings,
                 std::vector<Answer>& answers) {
  std::vector<std::int64_t> tokens, positions, labels;
  std::vector<std::int32_t> starts;
  for (const Reading& reading : readings) {
    const auto start = static_cast<std::int64_t>(tokens.size());
    starts.push_back(static_cast<std::int32_t>(start));
    tokens.insert(tokens.end(), reading.tokens.begin(), reading.tokens.end());
    for (const std::int64_t position : reading.positions) positions.push_back(start + position);
    labels.insert(labels.end(), reading.labels.begin(), reading.labels.end());
  }
  const at::Device device = model.device();
  const auto length = static_cast<std::int64_t>(tokens.size());
  const at::Tensor hidden = model.hidden(upload(at::tensor(tokens), device).unsqueeze(0),
                                         ops::documents(1, length, std::move(starts)).to(device))[0];
  const Judged judged = judge(model, hidden.index_select(0, upload(at::tensor(positions), device)),
                              upload(at::tensor(labels), device), readings[0].among);
  std::int64_t first = 0;
  for (const Reading& reading : readings) {
    const auto count = static_cast<std::int64_t>(reading.labels.size());
    add(answers[reading.item], reading.list, judged, first, count);
    first += count;
  }
}

void read_in_segments(const LanguageModel& model, const Reading& reading, std::int64_t segment_tokens,
                      Answer& answer) {
  const at::Device device = model.device();
  ModelState state;
  std::size_t asked = 0;
  for (std::int64_t first = 0; first < reading.length(); first += segment_tokens) {
    const std::int64_t count = std::min(segment_tokens, reading.length() - first);
    const at::Tensor tokens =
        at::tensor(std::vector(reading.tokens.begin() + first, reading.tokens.begin() + first + count));
    const at::Tensor hidden = model.hidden(upload(tokens, device).unsqueeze(0), {}, &state)[0];
    std::vector<std::int64_t> positions, labels;
    for (; asked < reading.positions.size() && reading.positions[asked] < first + count; ++asked) {
      positions.push_back(reading.positions[asked] - first);
      labels.push_back(reading.labels[asked]);
    }
    if (labels.empty()) continue;
    const Judged judged = judge(model, hidden.index_select(0, upload(at::tensor(positions), device)),
                                upload(at::tensor(labels), device), reading.among);
    add(answer, reading.list, judged, 0, static_cast<std::int64_t>(labels.size()));
  }
}

}  // namespace

std::vector<Answer> read_items(const LanguageModel& model, std::span<const Item> items,
                               std::int64_t batch_tokens) {
  const at::NoGradGuard no_grad;
  std::vector<Answer> answers(items.size());
  const std::vector<Reading> readings = readings_of(items);
  for (std::size_t first = 0; first < readings.size();) {
    if (readings[first].length() > batch_tokens) {
      read_in_segments(model, readings[first], batch_tokens, answers[readings[first].item]);
      ++first;
      continue;
    }
    std::size_t end = first;
    std::int64_t tokens = 0;
    while (end < readings.size() && readings[end].among == readings[first].among &&
           tokens + readings[end].length() <= batch_tokens) {
      tokens += readings[end++].length();
    }
    read_packed(model, std::span(readings).subspan(first, end - first), answers);
    first = end;
  }
  return answers;
}

}  // namespace mdnlab
