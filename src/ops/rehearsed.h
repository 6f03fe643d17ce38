// The fused operations in a rehearsal (scan/rehearsal.h): what cuda/bind*.cc makes, no launches.
#pragma once

#include "ops/fused.h"

namespace mdnlab::ops {

// Of meta tensors that stand for those of a GPU that our kernels are for; else null.
const Fused* rehearsed();

}  // namespace mdnlab::ops
