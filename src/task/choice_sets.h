// Multiple choice as published sets write it, and as users do.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace mdnlab {

struct ChoiceQuestion {
  std::vector<std::string> contexts;       // one for all choices, or one each
  std::vector<std::string> continuations;  // with their leading space
  std::vector<std::string> choices;        // as a reader sees them; their characters divide in acc_norm
  std::size_t right = 0;

  const std::string& context(std::size_t choice) const { return contexts[contexts.size() == 1 ? 0 : choice]; }
};

inline constexpr const char* choice_sets =
    "piqa|hellaswag|arc_easy|arc_challenge|winogrande|boolq|openbookqa|copa|mmlu|jsonl";

// The questions of a file of `set`, one of choice_sets; read_given_lines has the terms. piqa's labels stand
// in a file beside it, `NAME-labels.lst`, or under `label`.
std::vector<ChoiceQuestion> read_choice_set(const std::string& set, const std::filesystem::path& file);

}  // namespace mdnlab
