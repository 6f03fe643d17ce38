// Synthetic tasks: sequences written from random numbers, with labels at some positions. The score is the
// mean over sequences of the share of their labels that the model predicts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "config/params.h"
#include "task/task.h"

namespace mdnlab {

// Writes one sequence. `tokens` come as 0, `labels` as no_label; it labels one position at least.
using WriteSequence = std::function<void(Random& random, std::int64_t* tokens, std::int64_t* labels)>;

// Sequences of one size.
struct SequenceSize {
  std::int64_t length = 0;    // tokens
  std::int64_t examples = 0;  // different ones to train on
  std::string settings_json;  // of the scores: what fixes the size, and `chance`, the accuracy of guessing
  WriteSequence write;
  WriteSequence write_valid = {};  // of validation; as in training where empty
};

struct Sequences {
  const char* task = "";
  std::uint64_t purpose = 0;  // of its random streams, no other task's
  std::uint64_t seed = 0;
  std::int64_t vocab_size = 0;
  std::vector<SequenceSize> trained;
  std::vector<SequenceSize> asked;  // the test: `test_examples` of each, each size a score of its own
  std::int64_t test_examples = 0;
  std::function<std::unique_ptr<const Items>()> items;  // where it is there, the test instead of `asked`
  std::string data_digest;                              // Task::data_digest
};

// Trains on all of `trained`: each of their examples once, the sizes evenly spread, then again. A batch is as
// wide as its longest sequence may be; shorter ones are followed by 0 without labels. Validation draws
// `test_examples` others of the same sizes, pooled. The splits draw from streams of their own, so that no
// test sequence is a training sequence but by chance. Scores: `accuracy`, `loss` (nats a label).
std::unique_ptr<Task> sequence_task(Sequences sequences);

// Rows of `length` tokens, row i written by write(i, tokens, labels).
Batch written_batch(
    std::int64_t rows, std::int64_t length,
    const std::function<void(std::int64_t row, std::int64_t* tokens, std::int64_t* labels)>& write);

inline constexpr Field train_examples_field{.name = "train_examples",
                                            .type = Type::integer,
                                            .preset = "100000",
                                            .doc = "different training sequences; then they repeat",
                                            .least = 1};
inline constexpr Field test_examples_field{.name = "test_examples",
                                           .type = Type::integer,
                                           .preset = "1000",
                                           .doc = "sequences of each evaluation, of each size",
                                           .least = 1};

}  // namespace mdnlab
