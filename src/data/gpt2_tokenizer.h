// GPT-2's byte-level byte-pair encoding, from the two files published with it.
#pragma once

#include <mutex>
#include <unordered_map>

#include "data/byte_pairs.h"
#include "data/tokenizer.h"

namespace mdnlab {

// Every byte string, well-formed UTF-8 or not, decodes to itself. `<|endoftext|>` written in a text is plain
// text.
class Gpt2Tokenizer final : public Tokenizer {
 public:
  // `folder` holds encoder.json (token text to id; the ids are 0 … n−1) and vocab.bpe (the merges, best
  // first). A missing or malformed file: Code::usage, naming the file, the line and what is wrong.
  explicit Gpt2Tokenizer(const std::filesystem::path& folder);

  std::vector<std::int32_t> encode(std::string_view text) const override;

 private:
  std::string decode_valid(std::span<const std::int32_t> tokens) const override;
  void encode_word(std::string_view word, std::vector<std::int32_t>& tokens) const;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
  };

  std::vector<std::string> bytes_;  // of each token
  std::int32_t byte_tokens_[256];
  BytePairs pairs_;
  mutable std::mutex mutex_;  // guards the words met so far
  mutable std::unordered_map<std::string, std::vector<std::int32_t>, Hash, std::equal_to<>> known_words_;
};

}  // namespace mdnlab
