// Tasks made from words, as a test asks for them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "task/task.h"

namespace mdnlab {

inline std::unique_ptr<Task> make_task(const std::string& name, const std::vector<std::string>& words,
                                       const TaskContext& context) {
  const TaskKind& kind = find_task(name, {});
  return kind.make(read_settings(words, "task", kind.fields), context);
}

// All sequences that a split asks.
inline std::vector<std::vector<std::int64_t>> sequences_of(const Task& task, Split split) {
  std::vector<std::vector<std::int64_t>> list;
  if (const auto items = task.items(split)) {
    for (std::int64_t i = 0; i < items->count(); ++i) list.push_back(items->item(i).prompt);
    return list;
  }
  const auto evaluation = task.evaluation(split);
  while (const std::optional<Batch> batch = evaluation->next(1000)) {
    const at::Tensor& tokens = batch->tokens_BT;
    for (std::int64_t row = 0; row < tokens.size(0); ++row) {
      const std::int64_t* first = tokens.const_data_ptr<std::int64_t>() + row * tokens.size(1);
      list.emplace_back(first, first + tokens.size(1));
    }
  }
  return list;
}

// Row `row` of an int64 tensor.
inline std::vector<std::int64_t> row_of(const at::Tensor& tensor, std::int64_t row) {
  const std::int64_t width = tensor.size(1);
  const std::int64_t* first = tensor.const_data_ptr<std::int64_t>() + row * width;
  return {first, first + width};
}

}  // namespace mdnlab
