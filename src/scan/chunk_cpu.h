// The chunkwise scan on the CPU, forward and backward, on tensors and without autograd (autograd.cc joins the
// two).
#pragma once

#include <array>

#include "scan/inputs.h"

namespace mdnlab::scan {

// What backward needs beside the inputs; linear in T.
struct SavedForBackward {
  at::Tensor states;     // [H, chunks, S then M: halves·K, padded V], the state before each chunk or group
  at::Tensor residuals;  // [H, B·T, padded V]; undefined without delta
  at::Tensor scores;  // [H, chunks, C·padded C, once or with delta twice]; undefined with channel-wise decay
  at::Tensor alpha,
      mu;  // exp of the log-gates [B,T,H], float64; undefined with channel-wise decay, or without the gate
};

// `saved` null: inference. Inputs are valid (validate()) and on the CPU.
Outputs forward_cpu(const Inputs& inputs, const Options& options, SavedForBackward* saved);

// Gradients of the tensors that are `wanted` (in the order of tensors()), laid out as Inputs; the others
// undefined. An undefined tensor in `adjoints` takes no part in the loss.
Inputs backward_cpu(const Inputs& inputs, const Options& options, const SavedForBackward& saved,
                    const Outputs& adjoints, const std::array<bool, kTensors>& wanted);

// One token a document.
Outputs step_cpu(const Inputs& inputs);

}  // namespace mdnlab::scan
