#include <ATen/core/grad_mode.h>

#include "scan/chunk.h"
#include "scan/reference.h"

namespace mdnlab::scan {

Outputs step(const Inputs& inputs) {
  const at::NoGradGuard no_grad;
  return loop(inputs);
}

}  // namespace mdnlab::scan
