// Stacks that are last in, first out: `<push> id e` puts an element on one of them, `<pop> id e` takes it off
// again; the element that a pop takes is wanted after its id. Half the operations push; a pop is of a stack
// that holds something, each alike, and the last operation pops. What is left of the length is 0.
#include <fmt/format.h>

#include "task/lengths.h"
#include "task/tasks.h"

namespace mdnlab {

namespace {

constexpr Field fields[] = {
    {.name = "stacks", .type = Type::integer, .preset = "64", .doc = "stacks, each with an id", .least = 1},
    {.name = "elements", .type = Type::integer, .preset = "64", .doc = "different elements", .least = 2},
    length_field,
    lengths_field,
    train_examples_field,
    test_examples_field};

constexpr std::int64_t tokens_each = 3;  // of an operation

class Stacks {
 public:
  explicit Stacks(std::int64_t count) : held_(static_cast<std::size_t>(count)) {}

  bool empty() const { return holding_.empty(); }

  void push(std::int64_t id, std::int64_t element) {
    std::vector<std::int64_t>& stack = held_[static_cast<std::size_t>(id)];
    if (stack.empty()) holding_.push_back(id);
    stack.push_back(element);
  }

  struct Popped {
    std::int64_t id, element;
  };
  Popped pop(Random& random) {
    const std::size_t place = random.below(holding_.size());
    const std::int64_t id = holding_[place];
    std::vector<std::int64_t>& stack = held_[static_cast<std::size_t>(id)];
    const std::int64_t element = stack.back();
    stack.pop_back();
    if (stack.empty()) {
      holding_[place] = holding_.back();
      holding_.pop_back();
    }
    return {id, element};
  }

 private:
  std::vector<std::vector<std::int64_t>> held_;
  std::vector<std::int64_t> holding_;  // ids of the stacks that hold something
};

std::unique_ptr<Task> make(const Params& options, const TaskContext& context) {
  const std::int64_t stacks = options.integer("stacks"), elements = options.integer("elements");
  const Lengths lengths = one_length(options, context);
  check_lengths(lengths, options, 2 * tokens_each);
  const std::int64_t push = elements + stacks, pop = push + 1;
  const auto write = [=](Random& random, std::int64_t length, std::int64_t* tokens, std::int64_t* labels) {
    Stacks state(stacks);
    for (std::int64_t at = 0; at + tokens_each <= length; at += tokens_each) {
      const bool is_last = at + 2 * tokens_each > length;
      if (state.empty() || (!is_last && random.below(2) == 0)) {
        const auto id = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(stacks)));
        const auto element = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(elements)));
        state.push(id, element);
        tokens[at] = push, tokens[at + 1] = elements + id, tokens[at + 2] = element;
      } else {
        const auto [id, element] = state.pop(random);
        tokens[at] = pop, tokens[at + 1] = elements + id, tokens[at + 2] = element;
        labels[at + 1] = element;
      }
    }
  };
  return task_by_length({.task = "stack",
                         .purpose = 0x737461636b,
                         .vocab_size = pop + 1,
                         .chance = 1.0 / static_cast<double>(elements),
                         .settings_json = fmt::format(R"("stacks":{},"elements":{},)", stacks, elements),
                         .write = write},
                        lengths, options, context);
}

}  // namespace

const TaskKind stack_task{"stack", 1, "last in, first out, in many stacks at once", false, fields, make};

}  // namespace mdnlab
