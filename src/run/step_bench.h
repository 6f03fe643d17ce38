// What a training step costs with each rule: forward, backward, clipping, AdamW, on random tokens.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "rule/loader.h"

namespace mdnlab {

struct StepShape {
  std::int64_t batch = 4, tokens = 512;
  std::int64_t hidden_size = 256, num_hidden_layers = 4, num_heads = 4;
  std::int64_t threads = 1;
  int samples = 7;  // timed steps a rule, after one that is not
};

struct StepTiming {
  std::string rule;
  double median_ms = 0;
  double spread_ms = 0;  // between the quartiles
};

// The rules take turns, step by step, so that a slow moment of the machine meets all of them.
std::vector<StepTiming> time_training_steps(std::span<const std::string> rules, const Plugins& plugins,
                                            const StepShape& shape);

}  // namespace mdnlab
