#include "task/babi_stories.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "task/written.h"

namespace mdnlab {

namespace {

std::vector<std::string> answers_in(const std::string& field) {
  const std::vector<std::string> parts = split(trim(field), ',');
  const bool is_path = std::ranges::all_of(parts, [](const std::string& part) { return part.size() == 1; });
  return is_path ? std::vector{trim(field)} : parts;
}

bool is_letter(char letter) { return std::isalnum(static_cast<unsigned char>(letter)); }

bool has_word(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_letter(text[at - 1])) && (end == text.size() || !is_letter(text[end]))) return true;
  }
  return false;
}

}  // namespace

std::vector<Story> read_stories(const std::string& text, const std::string& file) {
  std::vector<Story> stories;
  std::vector<std::string> facts;
  int line_number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++line_number;
    if (trim(line).empty()) continue;
    std::int64_t number = 0;
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || !parse_integer(line.substr(0, space), number)) {
      throw Error(Code::usage, {.place = {file, line_number},
                                .what = "this is no line of a bAbI story",
                                .expected = "a number, a space, a fact or a question"});
    }
    if (number == 1) facts.clear();
    const std::string rest = line.substr(space + 1);
    const std::vector<std::string> parts = split(rest, rest.find('\t') == std::string::npos ? '|' : '\t');
    if (parts.size() == 1) {
      facts.push_back(trim(parts[0]));
    } else {
      stories.push_back({facts, trim(parts[0]), answers_in(parts[1])});
    }
  }
  if (stories.empty())
    throw Error(Code::usage,
                {.place = {file}, .what = "no question stands in the file", .expected = "bAbI's stories"});
  return stories;
}

std::vector<std::string> answers_of(const std::vector<Story>& stories) {
  std::set<std::string> answers;
  for (const Story& story : stories) answers.insert(story.answers.begin(), story.answers.end());
  return {answers.begin(), answers.end()};
}

std::vector<std::string> named(const std::vector<std::string>& words, const std::string& text) {
  const std::string all = lowered(text);
  std::vector<std::string> found;
  std::ranges::copy_if(words, std::back_inserter(found),
                       [&](const std::string& word) { return has_word(all, lowered(word)); });
  return found;
}

bool names_only(const std::vector<std::string>& answers, const std::vector<std::string>& others,
                const std::string& written) {
  std::string sentence = trim(written);
  sentence.resize(std::min(sentence.size(), sentence.find_first_of(".!?\n")));
  for (std::size_t at = 0; (at = sentence.find(", ", at)) != std::string::npos;) sentence.erase(at + 1, 1);
  return named(answers, sentence).size() == answers.size() && named(others, sentence).empty();
}

}  // namespace mdnlab
