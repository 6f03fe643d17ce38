// x <sep> reverse(x): from the separator on, the next symbol is wanted. A sequence of L tokens holds L/2
// random symbols, the separator and all of the reverse but its last symbol, which is only ever a label; an
// odd L ends in a symbol that is not asked.
#include <fmt/format.h>

#include "task/lengths.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "symbols", .type = Type::integer, .preset = "64", .doc = "of the alphabet", .least = 2},
    length_field,
    lengths_field,
    train_examples_field,
    test_examples_field};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const std::int64_t symbols = options.integer("symbols");
  const Lengths lengths = one_length(options, context);
  check_lengths(lengths, options, 2);
  const auto write = [symbols](Random& random, std::int64_t length, std::int64_t* tokens,
                               std::int64_t* labels) {
    const std::int64_t half = length / 2;
    for (std::int64_t i = 0; i < half; ++i)
      tokens[i] = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(symbols)));
    tokens[half] = symbols;
    for (std::int64_t i = 0; i < half; ++i) {
      labels[half + i] = tokens[half - 1 - i];
      if (half + i + 1 < length) tokens[half + i + 1] = labels[half + i];
    }
  };
  return task_by_length({.task = "palindrome",
                         .purpose = 0x70616c696e64,
                         .vocab_size = symbols + 1,
                         .chance = 1.0 / static_cast<double>(symbols),
                         .settings_json = fmt::format(R"("symbols":{},)", symbols),
                         .write = write},
                        lengths, options, context);
}

}  // namespace

const TaskKind palindrome_task{"palindrome", 1, "repeat a sequence backwards", false, fields, make};

}  // namespace mdnlab
