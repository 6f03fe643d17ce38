// A text as training sees it: tokens in three contiguous splits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/params.h"
#include "data/tokenizer.h"
#include "data/tokens.h"

namespace mdnlab {

enum class Split { train, valid, test };

const char* split_name(Split split);  // "train"

// A .txt file under the byte tokenizer and a packed .bin file are mapped and read in place; any other text is
// tokenised into memory when the corpus is opened (1, 2 or 4 bytes a token), so pack a large one first:
// pack_corpus.
class Corpus {
 public:
  // `data` is a section of data_fields(); `base` is the folder of the YAML file (data/path.h).
  // Code::usage, naming the place or the file: a text that is missing, unreadable, malformed or empty, shares
  // that do not sum to 1, a packed file that does not fit (data/packed.h).
  Corpus(const Params& data, const std::filesystem::path& base);

  std::int64_t token_count(Split split) const;
  std::int64_t token_count() const { return tokens_.count(); }
  std::int64_t document_count() const { return static_cast<std::int64_t>(tokens_.starts().size()); }

  // Copies tokens [first, first + count) of a split to `out`. Outside the split: std::out_of_range.
  void copy(Split split, std::int64_t first, std::int64_t count, std::int64_t* out) const;

  // Where documents start among tokens [first, first + count) of a split, as positions from `first`,
  // ascending. A split's own beginning counts as a start. Under `documents: concatenate` it is the only one.
  std::vector<std::int32_t> document_starts(Split split, std::int64_t first, std::int64_t count) const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  std::int64_t vocab_size() const { return tokenizer_->vocab_size(); }
  std::int32_t token_bytes(std::int32_t token) const { return tokenizer_->token_bytes(token); }

  // SHA-256 over the tokenizer, all tokens and the documents' starts: the same for a text and its packed
  // file, wherever they lie. The first call reads all tokens; a packed file whose content has changed is
  // Code::usage. Not from several threads at once.
  const std::string& digest() const;

  std::string file_name() const { return file_.filename().string(); }

  const Tokens& tokens() const { return tokens_; }

 private:
  struct Source;
  Corpus(const Params& data, Source source);
  static Source open(const Params& data, const std::filesystem::path& base);

  std::int64_t begin(Split split) const { return bounds_[static_cast<int>(split)]; }
  std::int64_t end(Split split) const { return bounds_[static_cast<int>(split) + 1]; }

  std::unique_ptr<const Tokenizer> tokenizer_;
  std::filesystem::path file_;
  Tokens tokens_;
  std::string recorded_digest_;  // of the tokens, from a packed file; else empty
  mutable std::string digest_;   // once it was asked for
  std::int64_t bounds_[4];       // split s is tokens [bounds_[s], bounds_[s + 1])
  bool concatenated_;
};

}  // namespace mdnlab
