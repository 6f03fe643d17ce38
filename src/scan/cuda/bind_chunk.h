// The Hopper kernels (chunk.h) on tensors, as an implementation of the scan has them.
#pragma once

#include <array>
#include <string>

#include "scan/implementation.h"

namespace mdnlab::scan {

// Why the kernels of the table (table.h) do not take inputs that fit one of its rows; empty: they do.
std::string refusal_of_hopper(const Inputs& inputs);

// On the current stream. Saved is what BoundScan::prepare() returns.
Outputs forward_hopper(const Inputs& inputs, const Options& options, Saved* saved);
Inputs backward_hopper(const Inputs& inputs, const Options& options, const Saved& saved,
                       const Outputs& adjoints, const std::array<bool, kTensors>& wanted);

}  // namespace mdnlab::scan
