// Text that something is hidden in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/random.h"
#include "config/params.h"
#include "data/corpus.h"

namespace mdnlab {

// A file as words, whitespace collapsed. A sentence ends with a word that ends in . ! or ? (quotes and
// brackets may follow). Its beginning is the test's; the last `train_share` of the words are for training
// only.
class Haystack {
 public:
  // The options haystack_fields below. `path` unset or missing, not UTF-8, empty: Code::usage.
  Haystack(const Params& options, const std::filesystem::path& base);

  std::int64_t words(Split split) const;
  const std::string& digest() const { return digest_; }

  // `count` words of a split as sentences, the last one cut: from the split's beginning, or in training from
  // a word drawn such that as many follow as any count up to `most` needs. Fewer than count there: those
  // there are.
  std::vector<std::string> sentences(Split split, Random& random, std::int64_t count,
                                     std::int64_t most) const;

 private:
  std::vector<std::string> words_;
  std::int64_t test_words_ = 0;
  std::string digest_;
};

inline constexpr Field haystack_path_field{
    .name = "path",
    .type = Type::text,
    .preset = nullptr,
    .doc = "a text file, the haystack of the tasks that hide in prose"};
inline constexpr Field haystack_share_field{
    .name = "train_share",
    .type = Type::real,
    .preset = "0",
    .doc = "of the text's words, from its end, that training hides in; the test never does",
    .least = 0,
    .most = 1};

// The line that fills haystacks of noise.
extern const char* const noise_line;

// `extra` put among `sentences`, each in its place's order: extra[i] stands before sentences[place[i]].
// Places ascend.
std::vector<std::string> inserted(const std::vector<std::string>& sentences,
                                  const std::vector<std::string>& extra,
                                  const std::vector<std::int64_t>& places);

}  // namespace mdnlab
