// One run, from its row in the store to its end, in a process of its own: the body of `mdnlab worker`.
#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <string>

#include "rule/loader.h"

namespace mdnlab {

struct RunOrder {
  std::filesystem::path database;
  std::string key;
  std::filesystem::path base;      // the folder of the YAML file, for relative paths
  c10::Device device = c10::kCPU;  // of the kind that the run was planned for
};

// Claims the run, goes on from its newest good checkpoint, trains, evaluates and ends it. Progress and
// messages go to stdout, a JSON object a line:
//   {"step": 12, "steps": 500, "loss": 2.3, "skipped": 0, "tokens_per_second": 31000}
//   {"message": "…"}
// SIGINT and SIGTERM end it after the step, with a checkpoint. A closed stdout counts as SIGTERM. Returns the
// exit code; a run that fails or diverges is marked so, with its cause, before this returns.
int execute_run(const RunOrder& order, const Plugins& plugins);

// Where a run keeps its checkpoints: `<database without .db>.runs/<key>`.
std::filesystem::path run_folder(const std::filesystem::path& database, const std::string& key);

}  // namespace mdnlab
