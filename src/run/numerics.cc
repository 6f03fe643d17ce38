#include "run/numerics.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <cstdlib>

namespace mdnlab {

void set_numerics(const Params& train) {
  at::set_num_threads(static_cast<int>(train.integer("threads")));
  at::globalContext().setFlushDenormal(true);  // states that decay to nothing would be slow
  if (!train.boolean("deterministic")) return;
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 1);  // what LibTorch asks of deterministic products
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicCuDNN(true);
}

}  // namespace mdnlab
