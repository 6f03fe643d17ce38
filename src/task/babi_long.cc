// bAbI's stories spread in a text: the facts stand in their order between its sentences, then the question
// follows. An answer is right when its first sentence names what is wanted and, but for what the question
// speaks of itself, nothing else that is an answer in the file. Of the stories, those are asked that fit.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "data/path.h"
#include "task/babi_stories.h"
#include "task/continuation.h"
#include "task/grown_question.h"
#include "task/haystack.h"
#include "task/sequences.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {{.name = "facts",
                             .type = Type::text,
                             .preset = Field::required,
                             .doc = "a file of bAbI's, e.g. qa1_single-supporting-fact_test.txt"},
                            {.name = "train_facts",
                             .type = Type::text,
                             .preset = nullptr,
                             .doc = "likewise, to train on: qa1_…_train.txt"},
                            context_lengths_field,
                            samples_field,
                            question_seed_field,
                            generated_field("32"),
                            haystack_path_field,
                            train_lengths_field,
                            haystack_share_field,
                            train_examples_field};

std::string asking(const Story& story, const std::string& text) {
  return fmt::format("{}\nQuestion: {}\nAnswer:", text, story.question);
}

std::string reply_to(const Story& story) { return " " + join(story.answers, ", ") + "."; }

// The stories of a file, those of few tokens first.
class Shelf {
 public:
  Shelf() = default;
  Shelf(const std::string& text, const std::string& file, const Tokenizer& tokenizer, std::int64_t generated)
      : file_(file) {
    std::multimap<std::int64_t, Story> sorted;
    for (Story& story : read_stories(text, file)) {
      const std::int64_t prompt = std::ssize(tokens_of(tokenizer, asking(story, join(story.facts, " ")))),
                         reply = std::ssize(tokens_of(tokenizer, reply_to(story)));
      sorted.emplace(prompt + std::max(generated, reply), std::move(story));
    }
    for (auto& [tokens, story] : sorted) {
      tokens_.push_back(tokens);
      stories_.push_back(std::move(story));
    }
    answers_ = answers_of(stories_);
  }

  bool is_empty() const { return stories_.empty(); }
  const std::vector<std::string>& answers() const { return answers_; }

  // How many stories, from the first on, leave room for an answer. None: Code::usage.
  std::int64_t fitting(std::int64_t length) const {
    const std::int64_t count = std::ranges::upper_bound(tokens_, length) - tokens_.begin();
    if (count > 0) return count;
    throw Error(Code::usage, {.place = {file_},
                              .what = fmt::format("no story fits in {} tokens", grouped(length)),
                              .expected = "at least " + grouped(tokens_[0])});
  }

  const Story& draw(Random& random, std::int64_t length) const {
    return stories_[random.below(static_cast<std::uint64_t>(fitting(length)))];
  }

  void tell_what_is_left_out(const std::vector<std::int64_t>& lengths) const {
    for (const std::int64_t length : lengths) {
      const std::int64_t left_out = std::ssize(stories_) - fitting(length);
      if (left_out == 0) continue;
      warn(fmt::format("{}: {} of {} stories are too long for {} tokens and not asked there", file_,
                       grouped(left_out), grouped(std::ssize(stories_)), grouped(length)));
    }
  }

 private:
  std::string file_;
  std::vector<std::int64_t> tokens_;  // that each needs, haystack aside; ascending
  std::vector<Story> stories_;
  std::vector<std::string> answers_;
};

struct Book {
  Book(const Params& options, const TaskContext& context) : haystack(options, context.base) {
    digest = haystack.digest();
    for (const auto& [name, shelf] : {std::pair{"facts", &asked}, {"train_facts", &trained}}) {
      if (!options.is_set(name)) continue;
      const std::filesystem::path file =
          find_path(options.text(name), context.base, "the stories", options.place(name));
      const std::string text = read_file(file);
      *shelf = Shelf(text, file.string(), *context.tokenizer, options.integer("generated"));
      digest += sha256(text);
    }
  }

  Question question(Random& random, const Wanted& wanted) const {
    const Shelf& shelf = wanted.split == Split::train ? trained : asked;
    if (shelf.is_empty())
      throw Error(Code::usage,
                  {.what = "training needs stories of its own", .expected = "train_facts: FILE"});
    const Story& story = shelf.draw(random, wanted.length);
    const std::vector<std::string> sentences =
        haystack.sentences(wanted.split, random, wanted.units, wanted.length);
    std::vector<std::int64_t> places;
    for (std::size_t i = 0; i < story.facts.size(); ++i)
      places.push_back(static_cast<std::int64_t>(random.below(sentences.size() + 1)));
    std::ranges::sort(places);
    std::vector<std::string> others = shelf.answers();
    const std::vector<std::string> spoken_of = named(others, story.question);
    std::erase_if(others, [&](const std::string& answer) {
      return std::ranges::count(story.answers, answer) + std::ranges::count(spoken_of, answer) > 0;
    });
    return {.prompt = asking(story, join(inserted(sentences, story.facts, places), " ")),
            .answers = story.answers,
            .reply = reply_to(story),
            .others = std::move(others)};
  }

  Haystack haystack;
  Shelf asked, trained;
  std::string digest;
};

// Stories differ in length: no item may want more of the haystack than there is.
void check_haystack(const Haystack& haystack, const Params& options, const Tokenizer& tokenizer) {
  const std::vector<std::int64_t> lengths = options.integers("lengths");
  const std::int64_t longest = lengths.empty() ? 0 : std::ranges::max(lengths);
  if (haystack.words(Split::test) >= longest) return;  // a token each at least
  Random unused{0};
  const std::int64_t tokens =
      std::ssize(tokens_of(tokenizer, join(haystack.sentences(Split::test, unused, longest, longest), " ")));
  if (tokens >= longest) return;
  throw options.error(
      "lengths",
      fmt::format("the haystack is too short for {} tokens; it has {}", grouped(longest), grouped(tokens)),
      "a longer text, since none is repeated");
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const auto book = std::make_shared<const Book>(options, context);
  check_haystack(book->haystack, options, *context.tokenizer);
  book->asked.tell_what_is_left_out(options.integers("lengths"));
  return grown_task(
      {.task = "babi_long",
       .cell =
           fmt::format(R"({{"facts":"{}"}})", std::filesystem::path(options.text("facts")).stem().string()),
       .write = [book](Random& random, const Wanted& wanted) { return book->question(random, wanted); },
       .score =
           [](const Question& question, const std::string& text) {
             return names_only(question.answers, question.others, text) ? 1.0 : 0.0;
           },
       .most_units = [book](Split split) { return book->haystack.words(split); },
       .data_digest = book->digest},
      options, context);
}

}  // namespace

const TaskKind babi_long_task{"babi_long", 2,      "questions of bAbI, their facts spread in a long text",
                              false,       fields, make};

}  // namespace mdnlab
