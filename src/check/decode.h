// Whole sequences by the decoding step.
#pragma once

#include "scan/chunk.h"

namespace mdnlab {

// What scan::chunk returns, made token by token with scan::step, without gradients. Documents one after
// another. `implementation` as with scan::step.
scan::Outputs decode(const scan::Inputs& inputs, std::string_view implementation = {});

}  // namespace mdnlab
