// RULER's common words: a numbered list in which ten words stand more often than all others; the ten are
// asked for. A short question with its answer goes ahead. Ten words × 30 among words × 3; below 4096 tokens ×
// 6 among × 1.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "task/grown_question.h"
#include "task/sequences.h"
#include "task/tasks.h"
#include "task/word_list.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {context_lengths_field,  samples_field, question_seed_field,
                            generated_field("120"), words_field,   train_lengths_field,
                            train_examples_field};

constexpr std::int64_t common = 10;

struct Repeats {
  std::int64_t words, common, other;  // different words, and how often each stands
};

Question list_question(Random& random, const std::vector<std::string>& all, const Repeats& repeats) {
  std::vector<std::string> answers, list;
  for (const std::int64_t word : random.sample(static_cast<std::int64_t>(all.size()), repeats.words)) {
    const std::string& text = all[static_cast<std::size_t>(word)];
    const bool is_common = std::ssize(answers) < common;
    if (is_common) answers.push_back(text);
    list.insert(list.end(), static_cast<std::size_t>(is_common ? repeats.common : repeats.other), text);
  }
  std::string context, reply;
  std::int64_t number = 0;
  for (const std::int64_t place : random.sample(std::ssize(list), std::ssize(list))) {
    ++number;
    context += fmt::format("{}{}. {}", number > 1 ? " " : "", number, list[static_cast<std::size_t>(place)]);
  }
  for (std::size_t i = 0; i < answers.size(); ++i) reply += fmt::format(" {}. {}", i + 1, answers[i]);
  return {
      fmt::format(
          "Below is a numbered list of words. In these words, some appear more often than others. Memorize "
          "the ones that appear most often.\n{}\nQuestion: What are the 10 most common words in the above "
          "list? Answer: The top 10 words that appear most often in the list are:",
          context),
      answers, reply};
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  std::vector<std::string> words;
  std::string digest;
  for (const char* name : {"nounlist.txt", "adjectivelist.txt", "verblist.txt"}) {
    const WordList list = read_word_list(options, context.base, name);
    words.insert(words.end(), list.words.begin(), list.words.end());
    digest += list.digest;
  }
  std::ranges::sort(words);
  words.erase(std::ranges::unique(words).begin(), words.end());
  if (std::ssize(words) < 40)
    throw options.error("words", fmt::format("{} different words are too few", words.size()), "at least 40");
  const auto most = std::ssize(words);
  const auto write = [words = std::move(words)](Random& random, const Wanted& wanted) {
    const bool is_short = wanted.length < 4096;
    const Question example = list_question(random, words, is_short ? Repeats{20, 3, 1} : Repeats{40, 10, 3});
    Question question =
        list_question(random, words, is_short ? Repeats{wanted.units, 6, 1} : Repeats{wanted.units, 30, 3});
    question.prompt = example.prompt + example.reply + "\n" + question.prompt;
    return question;
  };
  return grown_task({.task = "common_words",
                     .write = write,
                     .least_units = common + 1,
                     .most_units = [most](Split) { return most; },
                     .data_digest = digest},
                    options, context);
}

}  // namespace

const TaskKind common_words_task{"common_words", 1,      "the ten words that a long list repeats most",
                                 false,          fields, make};

}  // namespace mdnlab
