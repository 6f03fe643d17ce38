// A plan as people read it, and as programs do.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/table.h"
#include "run/planner.h"
#include "run/training_memory.h"

namespace mdnlab {

// A run, and what is known of it beside the plan.
struct PlanRow {
  PlannedRun run;
  std::string state;                         // "new", or where it stands in a database
  std::optional<TrainingMemory> memory;      // on the plan's device
  std::optional<TrainingMemory> gpu_memory;  // on an H100 or H200
};

// Every fact in whole units: an array for JSON, a row for CSV and Markdown.
nlohmann::ordered_json plan_json(const std::vector<PlanRow>& plan);
Table plan_table(const std::vector<PlanRow>& plan);

// Two tables that fit a terminal, numbered alike: what each run costs; which it is and where it stands. A
// line says which GPUs hold the largest, if it is of some size.
std::string plan_text(const std::vector<PlanRow>& plan);

}  // namespace mdnlab
