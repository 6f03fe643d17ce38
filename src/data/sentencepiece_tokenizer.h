// SentencePiece models (.model). The library is loaded when the first of them is opened.
#pragma once

#include "data/tokenizer.h"

struct mdnlab_sentencepiece;

namespace mdnlab {

// Ids are the library's own for the text alone: no begin or end token. A model may normalise the text and put
// a space before it; ill-formed UTF-8 becomes U+FFFD. So decoding gives the normalised text, and token_bytes
// counts that space; a model's unknown token counts 0 bytes.
class SentencePieceTokenizer final : public Tokenizer {
 public:
  // No library: Code::machine with the command that installs it. No such file, or no model: Code::usage.
  explicit SentencePieceTokenizer(const std::filesystem::path& file);

  std::vector<std::int32_t> encode(std::string_view text) const override;

 private:
  std::string decode_valid(std::span<const std::int32_t> tokens) const override;

  const mdnlab_sentencepiece& library_;
  std::filesystem::path file_;
  std::shared_ptr<void> model_;
};

// Opens the module of data/sentencepiece, which stays open. Code::machine where it, or the library it
// needs, is not there or has another version.
const mdnlab_sentencepiece& open_sentencepiece(const std::filesystem::path& module);
const mdnlab_sentencepiece& open_sentencepiece();  // where the program has it

}  // namespace mdnlab
