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

// Row `row` of an int64 tensor.
inline std::vector<std::int64_t> row_of(const at::Tensor& tensor, std::int64_t row) {
  const std::int64_t width = tensor.size(1);
  const std::int64_t* first = tensor.const_data_ptr<std::int64_t>() + row * width;
  return {first, first + width};
}

}  // namespace mdnlab
