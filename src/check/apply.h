// A rule's bare recurrence on given tensors, so that any other code can be held against ours.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <optional>
#include <string>

#include "check/given_tensors.h"

namespace mdnlab {

enum class ScanMode { reference, chunk, step };

struct ApplyOptions {
  ScanMode mode = ScanMode::chunk;
  // q, k, v and p are rounded to it, gates and states to float32 (float64 where it is). Unset: q's own. The
  // reference then computes in float64; where it is unset, on the tensors as they are.
  std::optional<c10::ScalarType> dtype;
  c10::Device device = c10::kCPU;  // results come back to the CPU
  bool normalize = false;  // q and k are divided by √(Σx² + 1e-6), head by head; a given p is left as it is
  bool scale = false;      // q, after that, by √K
  std::string kernel = {};  // of chunk and step, by its name (scan/implementation.h); empty: as usual
};

// o, final_S and, with momentum, final_M; with `do` in `given`, for every tensor X that the rule uses and
// that was given, its gradient dX, of X as it was given. dtypes: of o, dq, dk, dv, dp `dtype`; of gates and
// states float32 (float64 where `dtype` is); of the reference all float64.
//
// Code::usage, naming the tensor: as used_tensors, a shape that does not fit (scan::validate), `do` in mode
// step, a kernel in mode reference; those of scan::choose.
TensorMap apply(const RuleRecurrence& recurrence, const TensorMap& given, const ApplyOptions& options);

}  // namespace mdnlab
