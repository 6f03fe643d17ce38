// Questions in text under the byte tokenizer, where a token is a character: what a test reads back from them.
#pragma once

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "../temporary_folder.h"
#include "making.h"

namespace mdnlab {

// A folder with three lists of words (155 different words) and a text of numbered sentences.
class TextQuestions {
 public:
  TextQuestions() {
    write("adjectivelist.txt", "red\ngreen\nblue\n\nold \n");
    std::string nouns = "house\ntree\nriver\nstone\n";
    for (char a = 'a'; a <= 'l'; ++a) {
      for (char b = 'a'; b <= 'l'; ++b) nouns += std::string("noun") + a + b + "\n";
    }
    write("nounlist.txt", nouns);
    write("verblist.txt", "go\nrun\nsee\n");
    std::string text;
    for (int i = 0; i < 2000; ++i) text += "This is  sentence " + std::to_string(i) + ",\nnot long.\n";
    write("text.txt", text);
  }

  void write(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name) << content;
  }
  std::string path(const std::string& name = "") const { return (folder_ / name).string(); }

  std::unique_ptr<Task> make(const std::string& task, const std::vector<std::string>& settings,
                             std::int64_t seq_len = 1024) const {
    return make_task(task, settings,
                     {.tokenizer = make_tokenizer("byte", "."), .seq_len = seq_len, .seed = 1});
  }

 private:
  TemporaryFolder folder_;
};

inline std::string text_of(const std::vector<std::int64_t>& tokens) { return {tokens.begin(), tokens.end()}; }

// What the labels of one training row spell.
inline std::string reply_of(const std::vector<std::int64_t>& labels) {
  std::string reply;
  for (const std::int64_t label : labels) {
    if (label != no_label) reply += static_cast<char>(label);
  }
  return reply;
}

}  // namespace mdnlab
