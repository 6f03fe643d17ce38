#include "scan/chunk.h"
#include "scan/reference.h"

namespace mdnlab::scan {

Outputs chunk(const Inputs& inputs, const Options& options) {
  Outputs out = loop(inputs);
  return options.want_state ? out : Outputs{out.o_BTHV, {}, {}};
}

}  // namespace mdnlab::scan
