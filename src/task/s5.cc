// The word problem of S5: each token is one of the 120 permutations of five things; at each, the permutation
// that all so far make is wanted, later ones applied after earlier ones. Permutations are numbered in
// lexicographic order, so that 0 changes nothing.
#include <algorithm>
#include <array>

#include "task/lengths.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {length_field, lengths_field, train_examples_field, test_examples_field};

constexpr std::int64_t order = 120;

using Permutation = std::array<std::size_t, 5>;

class Group {
 public:
  Group() {
    std::array<Permutation, order> all;
    Permutation p{0, 1, 2, 3, 4};
    for (Permutation& member : all) {
      member = p;
      std::ranges::next_permutation(p);
    }
    for (std::size_t first = 0; first < order; ++first) {
      for (std::size_t then = 0; then < order; ++then) {
        Permutation both;
        for (std::size_t i = 0; i < both.size(); ++i) both[i] = all[then][all[first][i]];
        after_[first * order + then] = std::ranges::lower_bound(all, both) - all.begin();
      }
    }
  }
  std::int64_t after(std::int64_t first, std::int64_t then) const {
    return after_[static_cast<std::size_t>(first * order + then)];
  }

 private:
  std::array<std::int64_t, order * order> after_;
};

void write(Random& random, std::int64_t length, std::int64_t* tokens, std::int64_t* labels) {
  static const Group group;
  std::int64_t product = 0;
  for (std::int64_t t = 0; t < length; ++t) {
    tokens[t] = static_cast<std::int64_t>(random.below(order));
    labels[t] = product = group.after(product, tokens[t]);
  }
}

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const Lengths lengths = one_length(options, context);
  check_lengths(lengths, options, 2);
  return task_by_length(
      {.task = "s5", .purpose = 0x7335, .vocab_size = order, .chance = 1.0 / order, .write = write}, lengths,
      options, context);
}

}  // namespace

const TaskKind s5_task{"s5",  1,      "state tracking: the product of permutations of five things",
                       false, fields, make};

}  // namespace mdnlab
