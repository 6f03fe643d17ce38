// GPT-2's cut of a text into words, inside which byte pairs are merged.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace mdnlab {

// Reads the words of a text one after another; together they are the text, byte for byte. The text must
// outlive the reader. A byte that is not part of well-formed UTF-8 is a word of its own, and the text
// before it ends there.
//
// Words, first match wins: the contractions 's 't 're 've 'm 'll 'd; letters, digits or other signs, each
// with one space before; white space up to the last before a word; white space. (Radford et al. 2019.)
class Words {
 public:
  explicit Words(std::string_view text);
  ~Words();

  bool next(std::string_view& word);  // false at the end

 private:
  struct Match;

  std::string_view rest_;  // what has not been read
  std::size_t valid_ = 0;  // leading bytes of `rest_` known to be well-formed UTF-8
  std::unique_ptr<Match> match_;
};

}  // namespace mdnlab
