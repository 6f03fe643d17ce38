// How LibTorch computes in this process.
#pragma once

#include "config/params.h"

namespace mdnlab {

// CPU threads, denormals, and whether every result has the same bits each time, as the options of `train:`
// say. Before the first use of a GPU: its matrix library reads its settings then.
void set_numerics(const Params& train);

}  // namespace mdnlab
