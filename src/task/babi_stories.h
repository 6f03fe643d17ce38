// bAbI's stories.
#pragma once

#include <string>
#include <vector>

namespace mdnlab {

struct Story {
  std::vector<std::string> facts;  // that were told before the question
  std::string question;
  std::vector<std::string> answers;
};

// Lines are `NUMBER fact` or `NUMBER question TAB answers TAB supports`, with a bar for the tab in some
// copies; number 1 begins a story. Commas part answers, but steps of one letter are one answer, a path: s,w.
// Another line, or no question in the whole text: Code::usage.
std::vector<Story> read_stories(const std::string& text, const std::string& file);

// All answers that stories have, each once.
std::vector<std::string> answers_of(const std::vector<Story>& stories);

// What `text` names of `words`, each as a word of its own, whatever its case: `one`, not `none`.
std::vector<std::string> named(const std::vector<std::string>& words, const std::string& text);

// The first sentence or line of what was written names all of `answers` and none of `others`.
bool names_only(const std::vector<std::string>& answers, const std::vector<std::string>& others,
                const std::string& written);

}  // namespace mdnlab
