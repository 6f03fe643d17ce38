#include "data/tokenizer.h"

#include <utility>

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

}  // namespace mdnlab
