// Tasks as the command line asks for them, for a stored model.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/model_words.h"
#include "run/config.h"

namespace mdnlab {

// --task, --set, --lengths, --depths, --samples, --seed, --path, --data.
void add_task_words(Arguments& arguments);

struct AskedTask {
  TaskChoice choice;
  std::unique_ptr<const Task> task;
};

// Every task of --task, each with the same settings. A task or setting that is none, a task with more tokens
// than the model, a text that is missing: Code::usage.
std::vector<AskedTask> read_tasks(const Arguments& arguments, const ModelWords& given);

}  // namespace mdnlab
