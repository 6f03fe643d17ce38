#include "data/corpus_info.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/corpus.h"

namespace mdnlab {

CorpusInfo corpus_info(const Corpus& corpus) {
  std::vector<std::int64_t> uses(static_cast<std::size_t>(corpus.vocab_size()));
  corpus.tokens().visit([&](std::int64_t, std::span<const std::int64_t> block) {
    for (const std::int64_t token : block) ++uses[static_cast<std::size_t>(token)];
  });

  CorpusInfo info;
  info.tokens = corpus.token_count();
  const auto total = static_cast<double>(info.tokens);
  double bits = 0;
  for (std::size_t token = 0; token < uses.size(); ++token) {
    if (uses[token] == 0) continue;
    const auto count = static_cast<double>(uses[token]);
    bits -= count * std::log2(count / total);
    ++info.used_vocab;
    info.text_bytes += uses[token] * corpus.token_bytes(static_cast<std::int32_t>(token));
  }
  info.unigram_bits_per_byte = info.text_bytes > 0 ? bits / static_cast<double>(info.text_bytes) : 0;
  info.documents = corpus.document_count();
  std::ranges::transform(std::array{Split::train, Split::valid, Split::test}, info.split_tokens.begin(),
                         [&](Split split) { return corpus.token_count(split); });
  info.vocab_size = corpus.vocab_size();
  info.tokenizer = corpus.tokenizer().digest();
  info.digest = corpus.digest();
  return info;
}

}  // namespace mdnlab
