#include "task/haystack.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/file.h"
#include "base/text.h"
#include "data/path.h"

namespace mdnlab {

const char* const noise_line =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

namespace {

bool ends_sentence(std::string_view word) {
  const std::size_t last = word.find_last_not_of("\"')]");
  return last != std::string_view::npos && (word[last] == '.' || word[last] == '!' || word[last] == '?');
}

}  // namespace

Haystack::Haystack(const Params& options, const std::filesystem::path& base) {
  if (!options.is_set("path"))
    throw options.error("path", "a haystack of prose needs a text", "path: FILE.txt");
  const std::filesystem::path file = find_path(options.text("path"), base, "the text", options.place("path"));
  const std::string text = read_file(file);
  if (invalid_utf8(text) != std::string::npos)
    throw options.error("path", "the haystack text is not UTF-8", "a plain text file");
  std::istringstream stream(text);
  for (std::string word; stream >> word;) words_.push_back(word);
  if (words_.empty()) throw options.error("path", "the haystack text has no words", "a plain text file");
  test_words_ = std::llround((1 - options.real("train_share")) * static_cast<double>(words_.size()));
  digest_ = sha256(text);
}

std::int64_t Haystack::words(Split split) const {
  return split == Split::train ? static_cast<std::int64_t>(words_.size()) - test_words_ : test_words_;
}

std::vector<std::string> Haystack::sentences(Split split, Random& random, std::int64_t count,
                                             std::int64_t most) const {
  const std::int64_t all = words(split);
  std::int64_t at = 0;
  if (split == Split::train) {
    const std::int64_t spare = std::max<std::int64_t>(0, all - most);
    at = test_words_ + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(spare + 1)));
  }
  std::vector<std::string> sentences;
  bool begins = true;
  for (std::int64_t i = 0; i < std::min(count, all); ++i) {
    const std::string& word = words_[static_cast<std::size_t>(at + i)];
    if (begins) {
      sentences.push_back(word);
    } else {
      sentences.back() += " " + word;
    }
    begins = ends_sentence(word);
  }
  return sentences;
}

std::vector<std::string> inserted(const std::vector<std::string>& sentences,
                                  const std::vector<std::string>& extra,
                                  const std::vector<std::int64_t>& places) {
  std::vector<std::string> all;
  all.reserve(sentences.size() + extra.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i <= sentences.size(); ++i) {
    while (next < extra.size() && static_cast<std::size_t>(places[next]) <= i) all.push_back(extra[next++]);
    if (i < sentences.size()) all.push_back(sentences[i]);
  }
  return all;
}

}  // namespace mdnlab
