// How fast a model reads a prompt and writes behind it, on random tokens.
#pragma once

#include <cstdint>

#include "check/stopwatch.h"
#include "model/language_model.h"

namespace mdnlab {

struct DecodingBench {
  std::int64_t sequences = 1;  // side by side
  std::int64_t prompt_tokens = 16384;
  std::int64_t step_tokens = 128;  // of a timed run of steps
  int repeats = 5;
};

struct DecodingTimes {
  Timing prompt;           // to read one
  Timing step;             // for a token of each sequence, likeliest ones, none by way of the host
  std::int64_t bytes = 0;  // LanguageModel::step_bytes in the middle of the steps
  double copied_gbps = 0;  // what a copy of a GiB reads and writes, in GB/s; 0 on the CPU
};

// Steps go on from a prompt of `prompt_tokens` each.
DecodingTimes time_decoding(const LanguageModel& model, const DecodingBench& bench);

}  // namespace mdnlab
