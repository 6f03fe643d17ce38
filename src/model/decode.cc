#include "model/decode.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <optional>

#include "model/stepper.h"
#include "scan/upload.h"

namespace mdnlab {

namespace {

constexpr std::int64_t any_token = 0;  // what a row reads that nobody asks

struct Sequence {
  std::size_t index;
  std::vector<std::int64_t> known;  // tokens that are to be read
  std::size_t read = 0;             // of them
  bool ended = false;               // its row is not yet given up

  std::int64_t rest() const { return static_cast<std::int64_t>(known.size() - read); }
};

std::int64_t least_rest(const std::vector<Sequence>& sequences, std::int64_t most) {
  for (const Sequence& sequence : sequences) {
    if (!sequence.ended) most = std::min(most, sequence.rest());
  }
  return most;
}

// (R,count), on the CPU.
at::Tensor next_tokens(std::vector<Sequence>& sequences, std::int64_t count) {
  const at::Tensor tokens =
      at::full({static_cast<std::int64_t>(sequences.size()), count}, any_token, at::kLong);
  auto* out = tokens.data_ptr<std::int64_t>();
  for (Sequence& sequence : sequences) {
    if (!sequence.ended) {
      std::copy_n(sequence.known.begin() + static_cast<std::ptrdiff_t>(sequence.read), count, out);
      sequence.read += static_cast<std::size_t>(count);
    }
    out += count;
  }
  return tokens;
}

template <class Predicate>
std::vector<std::int64_t> rows_where(const std::vector<Sequence>& sequences, const Predicate& holds) {
  std::vector<std::int64_t> rows;
  for (std::size_t row = 0; row < sequences.size(); ++row) {
    if (holds(sequences[row])) rows.push_back(static_cast<std::int64_t>(row));
  }
  return rows;
}

// The state of the rows, and how it goes on: prompts by whole segments, what is written step by step.
class Reader {
 public:
  explicit Reader(const LanguageModel& model) : model_(model) {}

  // Reads (R,count) and gives the logits of the next tokens of the `asking` rows.
  at::Tensor read(const at::Tensor& tokens, const std::vector<std::int64_t>& asking) {
    const auto asked = [&](const at::Tensor& rows) {
      const bool are_all = std::ssize(asking) == rows.size(0);
      return are_all ? rows : rows.index_select(0, upload(at::tensor(asking), rows.device()));
    };
    if (tokens.size(1) == 1 && (stepper_ || !state_.layers.empty())) {
      if (!stepper_) stepper_.emplace(model_, state_);
      return asked(stepper_->step(tokens.squeeze(1)));
    }
    leave_steps();
    const at::Tensor hidden = model_.hidden(upload(tokens, model_.device()), {}, &state_);
    return asking.empty() ? at::Tensor() : model_.logits(asked(hidden.select(1, -1)));
  }

  // Rows that few enough go on with are cheaper given up than read on: their state is copied, and on a GPU
  // the step is recorded anew.
  bool gives_up(std::size_t live, std::size_t rows) const {
    return live < rows && (!model_.device().is_cuda() || 2 * live <= rows);
  }

  void keep(const std::vector<std::int64_t>& rows) {
    leave_steps();
    const at::Tensor kept = upload(at::tensor(rows), model_.device());
    for (LayerState& layer : state_.layers) {
      for (at::Tensor& tensor : layer.tensors) tensor = tensor.index_select(0, kept);
    }
  }

 private:
  void leave_steps() {
    if (stepper_) state_ = stepper_->state();
    stepper_.reset();
  }

  const LanguageModel& model_;
  ModelState state_;
  std::optional<Stepper> stepper_;
};

}  // namespace

void decode(const LanguageModel& given, const std::vector<std::vector<std::int64_t>>& prompts,
            const ChooseTokens& choose, std::int64_t segment_tokens) {
  const at::NoGradGuard no_grad;
  const LanguageModel model = given.without_gradients();
  std::vector<Sequence> sequences;
  for (std::size_t i = 0; i < prompts.size(); ++i) sequences.push_back({i, prompts[i]});
  Reader reader(model);
  while (!sequences.empty()) {
    const at::Tensor tokens = next_tokens(sequences, least_rest(sequences, segment_tokens));
    const std::vector<std::int64_t> asking =
        rows_where(sequences, [](const Sequence& one) { return !one.ended && one.rest() == 0; });
    const at::Tensor logits = reader.read(tokens, asking);
    if (asking.empty()) continue;

    std::vector<std::size_t> indices;
    for (const std::int64_t row : asking) indices.push_back(sequences[static_cast<std::size_t>(row)].index);
    const std::vector<std::int64_t> chosen = choose(logits, indices);
    for (std::size_t i = 0; i < asking.size(); ++i) {
      Sequence& sequence = sequences[static_cast<std::size_t>(asking[i])];
      sequence.read = 0;
      sequence.known = {chosen[i]};
      sequence.ended = chosen[i] == end_of_sequence;
    }
    const std::vector<std::int64_t> live =
        rows_where(sequences, [](const Sequence& one) { return !one.ended; });
    if (!live.empty() && !reader.gives_up(live.size(), sequences.size())) continue;
    std::erase_if(sequences, [](const Sequence& sequence) { return sequence.ended; });
    if (!sequences.empty()) reader.keep(live);
  }
}

}  // namespace mdnlab
