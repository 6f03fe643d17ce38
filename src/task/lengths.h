// Synthetic tasks that have one size a length: the lengths trained and the lengths asked.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "task/sequences.h"

namespace mdnlab {

struct Lengths {
  std::vector<std::int64_t> trained, asked;
};

// `length` (train.seq_len when unset) and `lengths` (that of training when unset).
Lengths one_length(const Params& options, const TaskContext& context);

// least_length … most_length in steps of `step`, and `lengths`.
Lengths length_range(const Params& options, std::int64_t step = 1);

// A length below `least`, or that `step` does not divide: Code::usage.
void check_lengths(const Lengths& lengths, const Params& options, std::int64_t least, std::int64_t step = 1);

struct LengthTask {
  const char* task = "";
  std::uint64_t purpose = 0;
  std::int64_t vocab_size = 0;
  double chance = 0;          // accuracy of guessing
  std::string settings_json;  // members of an object that the options alone fix: `"symbols":64,`, or ""
  std::function<void(Random& random, std::int64_t length, std::int64_t* tokens, std::int64_t* labels)> write;
};

// `train_examples` are shared among the lengths trained, evenly; `test_examples` are of each length asked.
std::unique_ptr<Task> task_by_length(const LengthTask& task, const Lengths& lengths, const Params& options,
                                     const TaskContext& context);

inline constexpr Field length_field{.name = "length",
                                    .type = Type::integer,
                                    .preset = nullptr,
                                    .doc = "tokens of a training sequence; train.seq_len when unset",
                                    .least = 2};
inline constexpr Field lengths_field{
    .name = "lengths",
    .type = Type::integers,
    .preset = nullptr,
    .doc = "tokens of test sequences, a score each; as in training when unset",
    .least = 2};
inline constexpr Field least_length_field{.name = "least_length",
                                          .type = Type::integer,
                                          .preset = "3",
                                          .doc = "tokens of the shortest training sequence",
                                          .least = 1};
inline constexpr Field most_length_field{.name = "most_length",
                                         .type = Type::integer,
                                         .preset = "40",
                                         .doc = "tokens of the longest training sequence",
                                         .least = 1};
inline constexpr Field longer_lengths_field{.name = "lengths",
                                            .type = Type::integers,
                                            .preset = "[40, 64, 128, 256]",
                                            .doc = "tokens of test sequences, a score each",
                                            .least = 2};

}  // namespace mdnlab
