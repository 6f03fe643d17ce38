// What a training carries from step to step beside its tensors, as state.json of a checkpoint keeps it.
#pragma once

#include <cstdint>
#include <string>

#include "config/params.h"

namespace mdnlab {

// The data position and the random state are both functions of the seed and the step: batches are drawn from
// streams numbered by sequence, and nothing else in a step is random.
struct TrainingState {
  std::int64_t step = 0;              // done, skipped ones among them
  std::int64_t skipped = 0;           // whose loss or gradient was not finite
  std::int64_t skipped_in_a_row = 0;  // the latest ones
};

// {"step", "sequence", "tokens", "random": {"seed", "stream"}, "skipped": {"steps", "in_a_row"},
//  "world_size": 1, "accumulation"}
std::string state_json(const TrainingState& state, const Params& train);

// The inverse. A training of several processes (world_size) cannot go on in one: Code::failed.
TrainingState read_state(const std::string& json);

}  // namespace mdnlab
