// What `data info` tells of a text.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace mdnlab {

class Corpus;

struct CorpusInfo {
  std::int64_t text_bytes = 0;  // that the tokens stand for (Tokenizer::token_bytes)
  std::int64_t tokens = 0;
  std::int64_t documents = 0;
  std::array<std::int64_t, 3> split_tokens{};  // train, valid, test
  std::int64_t vocab_size = 0;
  std::int64_t used_vocab = 0;  // ids that occur
  double unigram_bits_per_byte =
      0;                  // entropy of the token frequencies, per byte of text: what a model must beat
  std::string tokenizer;  // its digest
  std::string digest;     // Corpus::digest()
};

// Reads all tokens twice.
CorpusInfo corpus_info(const Corpus& corpus);

}  // namespace mdnlab
