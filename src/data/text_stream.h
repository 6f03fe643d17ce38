// Text that a model writes, as its tokens come.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer.h"

namespace mdnlab {

// Turns tokens into text one by one, always well-formed UTF-8: a character whose bytes are spread over tokens
// comes out whole with the last of them; a byte that can belong to none comes out as U+FFFD.
class TextStream {
 public:
  // `before` is the last token of the prompt: how a token reads may depend on its neighbour.
  TextStream(const Tokenizer& tokenizer, std::int64_t before);

  std::string add(std::int64_t token);  // the new text; empty while a character is incomplete
  std::string end();                    // what was still waiting

 private:
  std::string take();

  const Tokenizer& tokenizer_;
  std::vector<std::int32_t> window_;  // the neighbour, then the tokens that wait
  std::size_t known_;                 // bytes of the neighbour's own text
};

// Each byte that belongs to no character replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

}  // namespace mdnlab
