// The tasks there are, each defined in its own file.
#pragma once

#include "task/task.h"

namespace mdnlab {

extern const TaskKind text_task;
extern const TaskKind mqar_task;
extern const TaskKind overwrite_mqar_task;
extern const TaskKind retention_task;
extern const TaskKind palindrome_task;
extern const TaskKind stack_task;
extern const TaskKind parity_task;
extern const TaskKind mod_arithmetic_task;
extern const TaskKind s5_task;
extern const TaskKind needle_task;
extern const TaskKind variable_tracking_task;
extern const TaskKind common_words_task;
extern const TaskKind frequent_words_task;
extern const TaskKind babi_long_task;
extern const TaskKind choice_task;
extern const TaskKind contains_task;
extern const TaskKind lambada_task;
extern const TaskKind wikitext_task;
extern const TaskKind perplexity_by_position_task;
extern const TaskKind influence_task;

}  // namespace mdnlab
