#include "task/word_list.h"

#include "base/file.h"
#include "base/text.h"
#include "data/path.h"

namespace mdnlab {

WordList read_word_list(const Params& options, const std::filesystem::path& base, const char* name) {
  if (!options.is_set("words"))
    throw options.error("words", "lists of words are needed", "words: FOLDER",
                        "experiments/data/words holds nounlist.txt, …");
  const std::string given = (std::filesystem::path(options.text("words")) / name).string();
  const std::string text = read_file(find_path(given, base, "the list of words", options.place("words")));
  WordList list{{}, sha256(text)};
  for (const std::string& line : split(text, '\n')) {
    if (std::string word = trim(line); !word.empty()) list.words.push_back(std::move(word));
  }
  if (list.words.empty()) throw options.error("words", quote(given) + " holds no words", "one word a line");
  return list;
}

}  // namespace mdnlab
