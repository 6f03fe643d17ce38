// Arithmetic modulo m: digits 0 … m−1 joined by +, − and ×, then =; at the = the value is wanted. × binds
// first, there are no brackets. Tokens: the digits, then +, −, ×, =.
#include <fmt/format.h>

#include "task/lengths.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "modulus", .type = Type::integer, .preset = "5", .doc = "m", .least = 2, .most = 1000},
    least_length_field,
    most_length_field,
    longer_lengths_field,
    train_examples_field,
    test_examples_field};

enum Operator : std::int64_t { plus, minus, times, equals };

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const std::int64_t m = options.integer("modulus");
  const Lengths lengths = length_range(options, 2);
  check_lengths(lengths, options, 2, 2);
  const auto write = [m](Random& random, std::int64_t length, std::int64_t* tokens, std::int64_t* labels) {
    std::int64_t sum = 0, term = 0;  // of the terms that are over, and the product being read, both modulo m
    for (std::int64_t t = 0; t < length; t += 2) {
      const auto digit = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(m)));
      const std::int64_t before = t == 0 ? plus : tokens[t - 1] - m;
      if (before == times) {
        term = term * digit % m;
      } else {
        sum = (sum + term) % m;
        term = before == plus ? digit : (m - digit) % m;
      }
      tokens[t] = digit;
      tokens[t + 1] = m + (t + 2 < length ? static_cast<std::int64_t>(random.below(3)) : equals);
    }
    labels[length - 1] = (sum + term) % m;
  };
  return task_by_length({.task = "mod_arithmetic",
                         .purpose = 0x6d6f6461,
                         .vocab_size = m + 4,
                         .chance = 1.0 / static_cast<double>(m),
                         .settings_json = fmt::format(R"("modulus":{},)", m),
                         .write = write},
                        lengths, options, context);
}

}  // namespace

const TaskKind mod_arithmetic_task{
    "mod_arithmetic", 1, "state tracking: the value of an expression modulo m", false, fields, make};

}  // namespace mdnlab
