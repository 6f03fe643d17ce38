#include "data/text_stream.h"

#include "base/text.h"

namespace mdnlab {

namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";
constexpr std::size_t longest_character = 4;  // bytes

// The last bytes begin a character that more bytes could complete. A tokenizer may have put U+FFFD for them.
bool is_incomplete(std::string_view text) {
  if (text.ends_with(replacement)) return true;
  for (std::size_t tail = 1; tail < longest_character && tail <= text.size(); ++tail) {
    for (const char fill : {'\x80', '\xbf'}) {
      std::string completed(text.substr(text.size() - tail));
      while (completed.size() < longest_character) {
        completed += fill;
        if (invalid_utf8(completed) == std::string_view::npos) return true;
      }
    }
  }
  return false;
}

}  // namespace

std::string replace_invalid_utf8(std::string_view text) {
  std::string valid;
  for (std::size_t at; (at = invalid_utf8(text)) != std::string_view::npos; text.remove_prefix(at + 1)) {
    valid += text.substr(0, at);
    valid += replacement;
  }
  return valid.append(text);
}

TextStream::TextStream(const Tokenizer& tokenizer, std::int64_t before)
    : tokenizer_(tokenizer),
      window_{static_cast<std::int32_t>(before)},
      known_(tokenizer.decode(window_).size()) {}

std::string TextStream::add(std::int64_t token) {
  window_.push_back(static_cast<std::int32_t>(token));
  const std::string text = tokenizer_.decode(window_);
  // A character is four tokens at most: what waits longer is none.
  if (is_incomplete(std::string_view(text).substr(known_)) && window_.size() <= longest_character) return {};
  return take();
}

std::string TextStream::end() { return take(); }

std::string TextStream::take() {
  const std::string text = replace_invalid_utf8(tokenizer_.decode(window_).substr(known_));
  window_ = {window_.back()};
  known_ = tokenizer_.decode(window_).size();
  return text;
}

}  // namespace mdnlab
