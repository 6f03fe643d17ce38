// Random bits; at the last one, whether an odd number of them is set.
#include "task/lengths.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {least_length_field, most_length_field, longer_lengths_field, train_examples_field,
                            test_examples_field};

void write(Random& random, std::int64_t length, std::int64_t* tokens, std::int64_t* labels) {
  std::int64_t sum = 0;
  for (std::int64_t t = 0; t < length; ++t) sum += tokens[t] = static_cast<std::int64_t>(random.below(2));
  labels[length - 1] = sum % 2;
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const Lengths lengths = length_range(options);
  check_lengths(lengths, options, 1);
  return task_by_length(
      {.task = "parity", .purpose = 0x706172697479, .vocab_size = 2, .chance = 0.5, .write = write}, lengths,
      options, context);
}

}  // namespace

const TaskKind parity_task{"parity", 1, "state tracking: is an odd number of bits set?", false, fields, make};

}  // namespace mdnlab
