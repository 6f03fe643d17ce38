// Questions in a text that is grown to a length: RULER's tasks and their like. The prompt holds as many units
// of haystack (lines, words) as leave tokens(prompt) + generated ≤ L; the model writes on, and what it wrote
// (task/written.h) is scored by the share of the answers that it contains, or as the task says.
// To train on, the answers follow the prompt, and they alone are labelled; some sequences may be drills
// instead.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "config/params.h"
#include "task/task.h"

namespace mdnlab {

struct Question {
  std::string prompt;                    // the text before what the model writes
  std::vector<std::string> answers;      // that what it writes is to contain
  std::string reply;                     // what a model that is trained on the task shall write
  std::vector<std::string> others = {};  // that what it writes is not to name, where `score` asks
};

struct Wanted {
  Split split = Split::test;
  std::int64_t length = 0;      // L, tokens
  std::optional<double> depth;  // of the answer in the haystack, 0 (its beginning) to 1; unset: drawn
  std::int64_t units = 0;       // of haystack
};

// A piece of a drill: read, or learned to be said.
struct Said {
  std::string text;
  bool is_reply = false;
};

struct GrownQuestions {
  const char* task = "";
  std::string cell = "{}";  // what tells its scores from others, a JSON object
  // The same numbers give the same answers whatever `units`, and a prompt that grows with them.
  std::function<Question(Random& random, const Wanted& wanted)> write;
  // Of what the model wrote, cleaned (task/written.h); empty: the share of the answers that it contains.
  std::function<double(const Question& question, const std::string& text)> score = {};
  std::int64_t least_units = 0;
  // Units that the haystack has for a split, where it ends; `hint` for an error.
  std::function<std::int64_t(Split split)> most_units;
  std::vector<std::optional<double>> depths{std::nullopt};  // that are asked, each with every length
  std::string data_digest;                                  // of the files behind it
  // A training sequence of at most `length` characters in which much is asked, with one reply at least; of
  // training such a share is drawn.
  std::function<std::vector<Said>(Random& random, std::int64_t length)> drill;
  double drill_share = 0;
};

// Reads the options below, and `generated`: tokens that the model may write. A length too short for a prompt,
// or too long for the haystack: Code::usage, said at once for the lengths that are asked.
std::unique_ptr<Task> grown_task(const GrownQuestions& questions, const Params& options,
                                 const TaskContext& context);

inline constexpr Field context_lengths_field{.name = "lengths",
                                             .type = Type::integers,
                                             .preset = "[1024, 2048, 4096, 8192]",
                                             .doc = "L: tokens of prompt and answer, a score each",
                                             .least = 1};
inline constexpr Field samples_field{
    .name = "samples", .type = Type::integer, .preset = "500", .doc = "questions of each score", .least = 1};
inline constexpr Field question_seed_field{
    .name = "seed", .type = Type::integer, .preset = "42", .doc = "of the questions", .least = 0};
inline constexpr Field train_lengths_field{
    .name = "train_lengths",
    .type = Type::integers,
    .preset = nullptr,
    .doc =
        "tokens of training sequences, one of them drawn for each, up to "
        "train.seq_len, which it is when unset",
    .least = 1};

constexpr Field generated_field(const char* preset) {
  return {.name = "generated",
          .type = Type::integer,
          .preset = preset,
          .doc = "tokens that the model may write",
          .least = 1};
}

}  // namespace mdnlab
