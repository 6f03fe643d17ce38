// The configuration of one run: every section read, checked against its table and resolved.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/spec.h"
#include "task/task.h"

namespace mdnlab {

struct TaskChoice {
  const TaskKind* kind = nullptr;
  Params options;
};

struct RunConfig {
  std::string name;  // of the experiment
  ModelSpec model;
  std::optional<Params> data;
  TaskChoice task;  // trained on
  Params train;
  std::vector<TaskChoice>
      evaluations;  // at the end, on the test split; the task itself when `eval:` is absent

  // The resolved form: reading it again gives the same. `pretty` for people, one line otherwise.
  std::string json(bool pretty = false) const;
};

// `root` is a whole document after sweeping, without `sweep:`. Every fault is Code::usage with its place.
RunConfig read_config(const Node& root, const Plugins& plugins);

// Keys that may stand at the top of a document.
std::span<const std::string> document_keys();

}  // namespace mdnlab
