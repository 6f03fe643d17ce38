#include "model/decode.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "scan/upload.h"

namespace mdnlab {

namespace {

struct Sequence {
  std::size_t index;
  std::vector<std::int64_t> known;  // tokens that are to be read
  std::size_t read = 0;             // of them

  std::int64_t rest() const { return static_cast<std::int64_t>(known.size() - read); }
};

at::Tensor next_tokens(std::vector<Sequence>& sequences, std::int64_t count, at::Device device) {
  const at::Tensor tokens = at::empty({static_cast<std::int64_t>(sequences.size()), count}, at::kLong);
  auto* out = tokens.data_ptr<std::int64_t>();
  for (Sequence& sequence : sequences) {
    out = std::copy_n(sequence.known.begin() + static_cast<std::ptrdiff_t>(sequence.read), count, out);
    sequence.read += static_cast<std::size_t>(count);
  }
  return upload(tokens, device);
}

void keep_rows(ModelState& state, const at::Tensor& rows) {
  for (LayerState& layer : state.layers) {
    for (at::Tensor& tensor : layer.tensors) tensor = tensor.index_select(0, rows);
  }
}

// Of rows that still read their prompts nobody needs the logits.
std::vector<std::int64_t> rows_at_their_end(const std::vector<Sequence>& sequences) {
  std::vector<std::int64_t> rows;
  for (std::size_t row = 0; row < sequences.size(); ++row) {
    if (sequences[row].rest() == 0) rows.push_back(static_cast<std::int64_t>(row));
  }
  return rows;
}

}  // namespace

void decode(const LanguageModel& model, const std::vector<std::vector<std::int64_t>>& prompts,
            const ChooseTokens& choose, std::int64_t segment_tokens) {
  const at::NoGradGuard no_grad;
  const at::Device device = model.device();
  std::vector<Sequence> sequences;
  for (std::size_t i = 0; i < prompts.size(); ++i) sequences.push_back({i, prompts[i]});
  ModelState state;
  while (!sequences.empty()) {
    std::int64_t count = segment_tokens;
    for (const Sequence& sequence : sequences) count = std::min(count, sequence.rest());
    at::Tensor last = model.hidden(next_tokens(sequences, count, device), {}, &state).select(1, count - 1);
    const std::vector<std::int64_t> asking = rows_at_their_end(sequences);
    if (asking.empty()) continue;
    if (asking.size() < sequences.size()) last = last.index_select(0, upload(at::tensor(asking), device));

    std::vector<std::size_t> indices;
    for (const std::int64_t row : asking) indices.push_back(sequences[static_cast<std::size_t>(row)].index);
    const std::vector<std::int64_t> chosen = choose(model.logits(last), indices);
    bool any_ended = false;
    for (std::size_t i = 0; i < asking.size(); ++i) {
      Sequence& sequence = sequences[static_cast<std::size_t>(asking[i])];
      sequence.read = 0;
      sequence.known.clear();
      if (chosen[i] == end_of_sequence) {
        any_ended = true;
      } else {
        sequence.known.push_back(chosen[i]);
      }
    }
    if (!any_ended) continue;
    std::vector<std::int64_t> going_on;
    for (std::size_t row = 0; row < sequences.size(); ++row) {
      if (sequences[row].rest() > 0) going_on.push_back(static_cast<std::int64_t>(row));
    }
    std::erase_if(sequences, [](const Sequence& sequence) { return sequence.rest() == 0; });
    if (!sequences.empty()) keep_rows(state, upload(at::tensor(going_on), device));
  }
}

}  // namespace mdnlab
