// The chunkwise scan by batched matrix products of LibTorch, on any device it has a backend for: what a GPU
// without kernels of its own runs. README.md of scan/ has the algorithm.
//
// Computes in float64 for float64 inputs, else in float32, whatever the global switches for TF32 say: all of it
// runs under at::NoTF32Guard, which LibTorch's cuBLAS handles obey (cuBLASLt, if a program prefers it, asks the
// switches alone). No atomics and no scatter: the same inputs give the same
// bits on one device. Nothing is read back from the device. Memory is linear in T.
//
// A token with a number that is none leaves every earlier one alone, and makes all from there on, of its
// head and document, NaN.
#pragma once

#include "scan/implementation.h"

namespace mdnlab::scan {

// The functions of an Implementation. Any valid inputs.
Outputs forward_batched(const Inputs& inputs, const Options& options, Saved* saved);
Inputs backward_batched(const Inputs& inputs, const Options& options, const Saved& saved,
                        const Outputs& adjoints, const std::array<bool, kTensors>& wanted);
Outputs step_batched(const Inputs& inputs);

}  // namespace mdnlab::scan
