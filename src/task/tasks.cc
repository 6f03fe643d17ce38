#include "task/tasks.h"

#include <array>
#include <stdexcept>

#include "base/text.h"

namespace mdnlab {

Batch Task::training(std::int64_t, std::int64_t) const {
  throw std::logic_error("a task that only asks was trained on");
}

std::unique_ptr<Evaluation> Task::evaluation(Split) const { return nullptr; }
std::unique_ptr<const Items> Task::items(Split) const { return nullptr; }

std::span<const TaskKind> task_kinds() {
  static const std::array kinds{text_task,
                                mqar_task,
                                overwrite_mqar_task,
                                retention_task,
                                palindrome_task,
                                stack_task,
                                parity_task,
                                mod_arithmetic_task,
                                s5_task,
                                needle_task,
                                variable_tracking_task,
                                common_words_task,
                                frequent_words_task,
                                babi_long_task,
                                choice_task,
                                contains_task,
                                lambada_task,
                                wikitext_task,
                                perplexity_by_position_task,
                                influence_task};
  return kinds;
}

const TaskKind& find_task(std::string_view name, const Place& place) {
  std::vector<std::string> names;
  for (const TaskKind& kind : task_kinds()) {
    if (kind.name == name) return kind;
    names.emplace_back(kind.name);
  }
  throw Error(Code::usage, {place, "unknown task", quote(name), {}, suggestion(name, names)});
}

}  // namespace mdnlab
