// The decode step (step.h) on tensors, as an implementation of the scan has it.
#pragma once

#include <string>

#include "scan/chunk.h"

namespace mdnlab::scan {

// Why the kernel does not take these inputs; empty: it does.
std::string refusal_of_gpu_step(const Inputs& inputs);

// One token a sequence, on the current stream. Inputs passed validate() and refusal_of_gpu_step().
Outputs step_on_gpu(const Inputs& inputs);

}  // namespace mdnlab::scan
