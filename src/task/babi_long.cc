// bAbI's stories spread in a text: the facts stand in their order between its sentences, then the question
// follows.
#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "data/path.h"
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
                            generated_field("20"),
                            haystack_path_field,
                            train_lengths_field,
                            haystack_share_field,
                            train_examples_field};

struct Story {
  std::vector<std::string> facts;  // that were told before the question
  std::string question;
  std::vector<std::string> answers;
};

// Lines are `NUMBER fact` or `NUMBER question TAB answers TAB supports`; number 1 begins a story.
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
    const std::vector<std::string> parts = split(line.substr(space + 1), '\t');
    if (parts.size() == 1) {
      facts.push_back(trim(parts[0]));
    } else {
      stories.push_back({facts, trim(parts[0]), split(trim(parts[1]), ',')});
    }
  }
  if (stories.empty())
    throw Error(Code::usage,
                {.place = {file}, .what = "no question stands in the file", .expected = "bAbI's stories"});
  return stories;
}

struct Book {
  Book(const Params& options, const std::filesystem::path& base) : haystack(options, base) {
    digest = haystack.digest();
    for (const auto& [name, stories] : {std::pair{"facts", &asked}, {"train_facts", &trained}}) {
      if (!options.is_set(name)) continue;
      const std::filesystem::path file =
          find_path(options.text(name), base, "the stories", options.place(name));
      const std::string text = read_file(file);
      *stories = read_stories(text, file.string());
      digest += sha256(text);
    }
  }

  Question question(Random& random, const Wanted& wanted) const {
    const std::vector<Story>& stories = wanted.split == Split::train ? trained : asked;
    if (stories.empty())
      throw Error(Code::usage,
                  {.what = "training needs stories of its own", .expected = "train_facts: FILE"});
    const Story& story = stories[random.below(stories.size())];
    const std::vector<std::string> sentences =
        haystack.sentences(wanted.split, random, wanted.units, wanted.length);
    std::vector<std::int64_t> places;
    for (std::size_t i = 0; i < story.facts.size(); ++i)
      places.push_back(static_cast<std::int64_t>(random.below(sentences.size() + 1)));
    std::ranges::sort(places);
    return {fmt::format("{}\nQuestion: {}\nAnswer:", join(inserted(sentences, story.facts, places), " "),
                        story.question),
            story.answers, " " + join(story.answers, ", ") + "."};
  }

  Haystack haystack;
  std::vector<Story> asked, trained;
  std::string digest;
};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const auto book = std::make_shared<const Book>(options, context.base);
  return grown_task(
      {.task = "babi_long",
       .cell =
           fmt::format(R"({{"facts":"{}"}})", std::filesystem::path(options.text("facts")).stem().string()),
       .write = [book](Random& random, const Wanted& wanted) { return book->question(random, wanted); },
       .least_units = 1,
       .most_units = [book](Split split) { return book->haystack.words(split); },
       .data_digest = book->digest},
      options, context);
}

}  // namespace

const TaskKind babi_long_task{"babi_long", 1,      "questions of bAbI, their facts spread in a long text",
                              false,       fields, make};

}  // namespace mdnlab
