#include "data/windows.h"

#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/random.h"
#include "base/text.h"

namespace mdnlab {

namespace {

constexpr std::uint64_t purpose = 0x77696e646f7773;  // "windows": a random stream of our own

}  // namespace

Windows::Windows(const Corpus& corpus, Split split, std::int64_t seq_len, std::uint64_t seed)
    : corpus_(corpus), split_(split), seq_len_(seq_len), seed_(seed) {
  if (seq_len < 1) throw std::logic_error("Windows: seq_len < 1");
  const std::int64_t tokens = corpus.token_count(split);
  if (tokens < seq_len + 1) {
    throw Error(Code::usage,
                {.what = std::string("the ") + split_name(split) + " split is shorter than one window",
                 .found = grouped(tokens) + (tokens == 1 ? " token" : " tokens"),
                 .expected = "at least " + grouped(seq_len + 1) + " (seq_len + 1)",
                 .hint = "give more text, a larger share in data.split or a shorter seq_len"});
  }
  count_ = (tokens - 1) / seq_len;
}

void Windows::prepare(std::int64_t epoch) {
  if (epoch == epoch_) return;
  Random random({seed_, purpose, static_cast<std::uint64_t>(epoch)});
  const std::int64_t spare = corpus_.token_count(split_) - 1 - count_ * seq_len_;
  offset_ = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(spare + 1)));
  order_.resize(static_cast<std::size_t>(count_));
  std::iota(order_.begin(), order_.end(), 0);
  for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
  epoch_ = epoch;
}

void Windows::training(std::int64_t index, std::int64_t* tokens, std::vector<std::int32_t>& starts) {
  if (index < 0) throw std::out_of_range("Windows::training: a negative index");
  prepare(index / count_);
  read(offset_ + order_[static_cast<std::size_t>(index % count_)] * seq_len_, tokens, starts);
}

void Windows::sequential(std::int64_t index, std::int64_t* tokens, std::vector<std::int32_t>& starts) const {
  if (index < 0 || index >= count_) throw std::out_of_range("Windows::sequential: no such window");
  read(index * seq_len_, tokens, starts);
}

void Windows::read(std::int64_t first, std::int64_t* tokens, std::vector<std::int32_t>& starts) const {
  corpus_.copy(split_, first, seq_len_ + 1, tokens);
  starts = corpus_.document_starts(split_, first, seq_len_ + 1);
  if (starts.empty() || starts.front() != 0) starts.insert(starts.begin(), 0);
}

}  // namespace mdnlab
