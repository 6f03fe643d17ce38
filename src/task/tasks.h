// The tasks there are, each defined in its own file.
#pragma once

#include "task/task.h"

namespace mdnlab {

extern const TaskKind text_task;
extern const TaskKind mqar_task;

}  // namespace mdnlab
