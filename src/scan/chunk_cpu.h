// The chunkwise scan on the CPU, forward and backward, on tensors and without autograd (autograd.cc joins the
// two).
#pragma once

#include "scan/implementation.h"

namespace mdnlab::scan {

// The functions of an Implementation. Any valid inputs on the CPU.
Outputs forward_cpu(const Inputs& inputs, const Options& options, Saved* saved);
Inputs backward_cpu(const Inputs& inputs, const Options& options, const Saved& saved, const Outputs& adjoints,
                    const std::array<bool, kTensors>& wanted);
Outputs step_cpu(const Inputs& inputs);

}  // namespace mdnlab::scan
