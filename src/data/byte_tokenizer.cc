#include "data/byte_tokenizer.h"

#include "base/file.h"

namespace mdnlab {

ByteTokenizer::ByteTokenizer() {
  describe({.token_bytes = std::vector<std::int32_t>(256, 1),
            .end_of_text = std::nullopt,
            .digest = "byte:" + sha256("byte")});
}

std::vector<std::int32_t> ByteTokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> tokens;
  tokens.reserve(text.size());
  for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
  return tokens;
}

std::string ByteTokenizer::decode_valid(std::span<const std::int32_t> tokens) const {
  return {tokens.begin(), tokens.end()};
}

}  // namespace mdnlab
