#include "data/words.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>

#include "base/text.h"

namespace mdnlab {

namespace {

// White space is spelt out as Unicode's White_Space: PCRE2's \s has U+180E besides.
std::string pattern_text() {
  const std::string space =
      R"(\x09-\x0d\x20\x85\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
  return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{L}\p{N})" + space + "]+|[" + space + "]+(?![^" +
         space + "])|[" + space + "]+";
}

struct Pattern {
  pcre2_code* code;

  Pattern() {
    const std::string text = pattern_text();
    int error = 0;
    PCRE2_SIZE at = 0;
    code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                         PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &at, nullptr);
    if (!code) throw std::logic_error("the word pattern does not compile, at " + std::to_string(at));
    // Where the system forbids making code at run time, the interpreter serves.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  }
  ~Pattern() { pcre2_code_free(code); }
};

const pcre2_code* pattern() {
  static const Pattern compiled;
  return compiled.code;
}

}  // namespace

struct Words::Match {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);

  Match() {
    if (!data) throw std::bad_alloc();
  }
  ~Match() { pcre2_match_data_free(data); }
};

Words::Words(std::string_view text) : rest_(text), match_(std::make_unique<Match>()) {}

Words::~Words() = default;

bool Words::next(std::string_view& word) {
  if (rest_.empty()) return false;
  if (valid_ == 0) valid_ = std::min(invalid_utf8(rest_), rest_.size());
  std::size_t length = 1;  // of an ill-formed byte
  if (valid_ > 0) {
    const int count = pcre2_match(pattern(), reinterpret_cast<PCRE2_SPTR>(rest_.data()), valid_, 0,
                                  PCRE2_NO_UTF_CHECK, match_->data, nullptr);
    // Every character is a letter, a digit, white space or another sign, so some alternative matches.
    if (count < 1)
      throw std::runtime_error("cutting a text into words failed: PCRE2 " + std::to_string(count));
    length = pcre2_get_ovector_pointer(match_->data)[1];
    valid_ -= length;
  }
  word = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return true;
}

}  // namespace mdnlab
