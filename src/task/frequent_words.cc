// RULER's frequent words: made-up words, the k-th most frequent of them standing k^−2/ζ(2) of the times. The
// most frequent is `...`, noise; the three after it are asked for.
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "base/text.h"
#include "task/grown_question.h"
#include "task/sequences.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {context_lengths_field, samples_field,       question_seed_field,
                            generated_field("50"), train_lengths_field, train_examples_field};

constexpr int letters = 6;
constexpr std::int64_t tokens_a_word = 50;  // of the length, for each different word
constexpr std::int64_t least_words = 100;   // that the third answer stands more often than the next

Question question(Random& random, const Wanted& wanted) {
  const auto different = static_cast<std::size_t>(std::max<std::int64_t>(5, wanted.length / tokens_a_word));
  std::vector<std::string> words{"..."};
  while (words.size() < different) {
    std::string word;
    for (int i = 0; i < letters; ++i) word += static_cast<char>('a' + random.below(26));
    if (std::ranges::find(words, word) == words.end()) words.push_back(word);
  }
  constexpr double zeta = std::numbers::pi * std::numbers::pi / 6;
  std::vector<std::string> text;
  for (std::size_t rank = 1; rank <= words.size(); ++rank) {
    const auto times = static_cast<double>(wanted.units) / (static_cast<double>(rank * rank) * zeta);
    text.insert(text.end(), static_cast<std::size_t>(times), words[rank - 1]);
  }
  std::string context;
  for (const std::int64_t place : random.sample(std::ssize(text), std::ssize(text)))
    context += (context.empty() ? "" : " ") + text[static_cast<std::size_t>(place)];
  const std::vector<std::string> answers(words.begin() + 1, words.begin() + 4);
  return {fmt::format(
              "Read the following coded text and track the frequency of each coded word. Find the three most "
              "frequently appeared coded words. {}\nQuestion: Do not provide any explanation. Please ignore "
              "the dots '....'. What are the three most frequently appeared words in the above coded text? "
              "Answer: According to the coded text above, the three most frequently appeared words are:",
              context),
          answers, " " + join(answers, " ")};
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  return grown_task({.task = "frequent_words", .write = question, .least_units = least_words}, options,
                    context);
}

}  // namespace

const TaskKind frequent_words_task{
    "frequent_words", 1, "the three most frequent of many made-up words", false, fields, make};

}  // namespace mdnlab
