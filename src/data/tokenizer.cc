#include "data/tokenizer.h"

#include <array>
#include <utility>

#include "base/text.h"
#include "data/byte_tokenizer.h"
#include "data/gpt2_tokenizer.h"
#include "data/path.h"
#include "data/sentencepiece_tokenizer.h"

namespace mdnlab {

Tokenizer::~Tokenizer() = default;

void Tokenizer::describe(Facts facts) {
  token_bytes_ = std::move(facts.token_bytes);
  end_of_text_ = facts.end_of_text;
  digest_ = std::move(facts.digest);
}

void Tokenizer::check(std::int32_t token) const {
  if (token >= 0 && token < vocab_size()) return;
  throw Error(Code::usage, {.what = "a token id is outside the vocabulary",
                            .found = std::to_string(token),
                            .expected = "0 to " + std::to_string(vocab_size() - 1)});
}

std::string Tokenizer::decode(std::span<const std::int32_t> tokens) const {
  for (const std::int32_t token : tokens) check(token);
  return decode_valid(tokens);
}

std::int32_t Tokenizer::token_bytes(std::int32_t token) const {
  check(token);
  return token_bytes_[static_cast<std::size_t>(token)];
}

std::unique_ptr<const Tokenizer> make_tokenizer(std::string_view words, const std::filesystem::path& base,
                                                const Place& place) {
  if (words == "byte") return std::make_unique<ByteTokenizer>();

  const std::size_t colon = words.find(':');
  const std::string_view kind = words.substr(0, colon);
  const std::string_view path = colon == std::string_view::npos ? "" : words.substr(colon + 1);
  const std::string expected = "byte, gpt2:FOLDER or sentencepiece:FILE";
  if (kind != "gpt2" && kind != "sentencepiece") {
    const std::array<std::string, 3> kinds = {"byte", "gpt2", "sentencepiece"};
    const std::string near = nearest(kind, kinds);
    throw Error(Code::usage, {place, "unknown tokenizer", quote(words), expected,
                              near.empty() ? "" : "did you mean " + quote(near) + "?"});
  }
  if (path.empty())
    throw Error(Code::usage, {place, "the tokenizer names no files", quote(words), expected, {}});

  const std::filesystem::path found = find_path(path, base, "the tokenizer", place);
  if (kind == "gpt2") return std::make_unique<Gpt2Tokenizer>(found);
  return std::make_unique<SentencePieceTokenizer>(found);
}

}  // namespace mdnlab
