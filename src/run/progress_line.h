// One line about the runs that are under way.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace mdnlab {

struct RunProgress {
  std::int64_t number = 0;  // in the plan, from 1
  std::string name;
  std::string device;  // empty where all runs have the same
  std::int64_t step = 0, steps = 0;
  double loss = 0;
  double tokens_per_second = 0;
  std::int64_t skipped = 0;  // of the steps
};

// Few runs one by one:
//   run 3+4 of 12 on cuda:0+cuda:1  step 120/500+80/600  loss 2.310+1.204  14,000 tokens/s  ETA 3m12s  mdn +
//   kda
// many by their range:
//   16 runs of 40  step 12% to 80%  loss 1.204 to 2.310  14,000 tokens/s  ETA 3m12s
// With skipped steps, "  skipped 3" after the loss.
std::string progress_line(std::span<const RunProgress> runs, std::int64_t planned, double seconds_left);

}  // namespace mdnlab
