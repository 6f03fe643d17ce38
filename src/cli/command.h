// The commands there are, each defined in its own file.
#pragma once

#include <span>
#include <string>

namespace mdnlab {

struct Command {
  const char* name;
  const char* summary;                             // one line
  int (*run)(std::span<const std::string> words);  // without the command's own name; returns the exit code
  bool is_internal = false;                        // not listed
};

extern const Command data_command;
extern const Command doctor_command;
extern const Command eval_command;
extern const Command export_command;
extern const Command generate_command;
extern const Command import_command;
extern const Command merge_command;
extern const Command plan_command;
extern const Command query_command;
extern const Command report_command;
extern const Command rules_command;
extern const Command run_command;
extern const Command score_command;
extern const Command status_command;
extern const Command worker_command;

}  // namespace mdnlab
