// RULER's variable tracking: a chain of assignments (`VAR ABCDE = 12345`, `VAR FGHIJ = VAR ABCDE`, …) in
// lines of noise; all variables of the chain are asked for. A short question with its answer goes ahead.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "task/grown_question.h"
#include "task/haystack.h"
#include "task/sequences.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {context_lengths_field,
                            {.name = "hops",
                             .type = Type::integer,
                             .preset = "4",
                             .doc = "assignments after the first",
                             .least = 1,
                             .most = 100},
                            samples_field,
                            question_seed_field,
                            generated_field("30"),
                            train_lengths_field,
                            train_examples_field};

constexpr std::int64_t lines_of_example = 5;

std::vector<std::string> draw_variables(Random& random, std::size_t count, int letters) {
  std::vector<std::string> variables;
  while (variables.size() < count) {
    std::string name;
    for (int i = 0; i < letters; ++i) name += static_cast<char>('A' + random.below(26));
    if (std::ranges::find(variables, name) == variables.end()) variables.push_back(name);
  }
  return variables;
}

Question chain_question(Random& random, std::int64_t hops, std::int64_t lines, int letters) {
  const std::vector<std::string> variables =
      draw_variables(random, static_cast<std::size_t>(hops) + 1, letters);
  const std::string value = std::to_string(10'000 + random.below(90'000));
  std::vector<std::string> chain{fmt::format("VAR {} = {}", variables[0], value)};
  for (std::size_t i = 1; i < variables.size(); ++i)
    chain.push_back(fmt::format("VAR {} = VAR {}", variables[i], variables[i - 1]));
  std::vector<std::int64_t> places = random.sample(lines, hops + 1);
  std::ranges::sort(places);
  const std::vector<std::string> noise(static_cast<std::size_t>(lines), noise_line);
  return {fmt::format(
              "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n{}\n"
              "Question: Find all variables that are assigned the value {} in the text above. Answer: "
              "According to the chain(s) of variable assignment in the text above, {} variables are assigned "
              "the value {}, they are: ",
              join(inserted(noise, chain, places), "\n"), value, variables.size(), value),
          variables, " " + join(variables, " ")};
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const std::int64_t hops = options.integer("hops");
  const auto write = [hops](Random& random, const Wanted& wanted) {
    const Question example = chain_question(random, hops, std::max(lines_of_example, hops + 1), 3);
    Question question = chain_question(random, hops, wanted.units, 5);
    question.prompt = example.prompt + example.reply + "\n\n" + question.prompt;
    return question;
  };
  return grown_task({.task = "variable_tracking",
                     .cell = fmt::format(R"({{"hops":{}}})", hops),
                     .write = write,
                     .least_units = hops + 1},
                    options, context);
}

}  // namespace

const TaskKind variable_tracking_task{
    "variable_tracking", 1, "all variables that a chain of assignments gives one value", false, fields, make};

}  // namespace mdnlab
