// Text to token ids and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mdnlab {

// A tokenizer is constant once made; its functions may be called from several threads.
class Tokenizer {
 public:
  virtual ~Tokenizer();

  // The ids of a whole document, without any begin or end token.
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;

  // An id outside [0, vocab_size()) is Code::usage.
  std::string decode(std::span<const std::int32_t> tokens) const;

  // How many bytes of text the token stands for, the divisor of bits per byte; 0 for control tokens.
  // An id outside the vocabulary is Code::usage.
  std::int32_t token_bytes(std::int32_t token) const;

  std::int64_t vocab_size() const { return static_cast<std::int64_t>(token_bytes_.size()); }

  // The token that ends a text, where the tokenizer has one. It stands for no text: decoding drops it.
  std::optional<std::int32_t> end_of_text() const { return end_of_text_; }

  // `KIND:SHA-256`, the same wherever the tokenizer's files lie and different when one of them differs.
  const std::string& digest() const { return digest_; }

 protected:
  struct Facts {
    std::vector<std::int32_t> token_bytes;  // one a token of the vocabulary
    std::optional<std::int32_t> end_of_text;
    std::string digest;
  };
  void describe(Facts facts);  // each tokenizer's constructor, once

 private:
  virtual std::string decode_valid(std::span<const std::int32_t> tokens) const = 0;
  void check(std::int32_t token) const;

  std::vector<std::int32_t> token_bytes_;
  std::optional<std::int32_t> end_of_text_;
  std::string digest_;
};

// `byte`, `gpt2:FOLDER` (encoder.json and vocab.bpe) or `sentencepiece:FILE`; paths as in data/path.h.
// `place` is where the words stand. An unknown kind, or files that are missing or malformed: Code::usage;
// no SentencePiece library: Code::machine, with the command that installs it.
std::unique_ptr<const Tokenizer> make_tokenizer(std::string_view words, const std::filesystem::path& base,
                                                const Place& place = {});

}  // namespace mdnlab
