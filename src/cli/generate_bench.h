#pragma once

#include <cstdint>
#include <string>

#include "model/language_model.h"

namespace mdnlab {

struct GenerateBench {
  std::string model;  // as the user named it
  std::int64_t sequences, prompt_tokens, step_tokens;
  bool json;
};

// `mdnlab generate MODEL --bench`: times, and what of the device's memory they make use of.
void generate_bench(const LanguageModel& model, const GenerateBench& bench);

}  // namespace mdnlab
