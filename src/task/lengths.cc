#include "task/lengths.h"

#include <fmt/format.h>

#include <algorithm>

namespace mdnlab {

Lengths one_length(const Params& options, const TaskContext& context) {
  Lengths lengths{{options.is_set("length") ? options.integer("length") : context.seq_len}, {}};
  lengths.asked = options.is_set("lengths") ? options.integers("lengths") : lengths.trained;
  return lengths;
}

Lengths length_range(const Params& options, std::int64_t step) {
  const std::int64_t least = options.integer("least_length"), most = options.integer("most_length");
  Lengths lengths{{}, options.integers("lengths")};
  for (std::int64_t length = (least + step - 1) / step * step; length <= most; length += step)
    lengths.trained.push_back(length);
  if (lengths.trained.empty()) {
    throw options.error("most_length", "no training sequence has this length or less",
                        fmt::format("at least {}", (least + step - 1) / step * step));
  }
  return lengths;
}

void check_lengths(const Lengths& lengths, const Params& options, std::int64_t least, std::int64_t step) {
  if (lengths.asked.empty()) throw options.error("lengths", "lengths is empty", "e.g. [256]");
  const auto check = [&](const std::vector<std::int64_t>& list, const char* name) {
    for (const std::int64_t length : list) {
      if (length < least)
        throw options.error(name, fmt::format("a sequence of {} tokens is too short", length),
                            fmt::format("at least {}", least));
      if (length % step != 0)
        throw options.error(name, fmt::format("no sequence has {} tokens", length),
                            fmt::format("a multiple of {}", step));
    }
  };
  check(lengths.trained, "length");  // a range of lengths has been made to fit
  check(lengths.asked, "lengths");
}

std::unique_ptr<Task> task_by_length(const LengthTask& task, const Lengths& lengths, const Params& options,
                                     const TaskContext& context) {
  const std::int64_t examples = options.integer("train_examples");
  const auto count = static_cast<std::int64_t>(lengths.trained.size());
  const auto sizes = [&](const std::vector<std::int64_t>& list) {
    std::vector<SequenceSize> sizes;
    for (const std::int64_t length : list) {
      sizes.push_back(
          {.length = length,
           .examples = std::max<std::int64_t>(1, examples / count),
           .settings_json =
               fmt::format(R"({{{}"seed":{},"chance":{}}})", task.settings_json, context.seed, task.chance),
           .write = [write = task.write, length](Random& random, std::int64_t* tokens, std::int64_t* labels) {
             write(random, length, tokens, labels);
           }});
    }
    return sizes;
  };
  return sequence_task({.task = task.task,
                        .purpose = task.purpose,
                        .seed = context.seed,
                        .vocab_size = task.vocab_size,
                        .trained = sizes(lengths.trained),
                        .asked = sizes(lengths.asked),
                        .test_examples = options.integer("test_examples")});
}

}  // namespace mdnlab
