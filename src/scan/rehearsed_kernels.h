// The scan of our GPU kernels in a rehearsal (rehearsal.h): what cuda/bind_chunk.cc makes and keeps, no
// launches.
#pragma once

#include "scan/implementation.h"

namespace mdnlab::scan {

// Refuses what the kernels refuse on a GPU of compute capability 9.0, and what stands for no GPU.
extern const Implementation rehearsed_hopper;

}  // namespace mdnlab::scan
