#include "base/error.h"
#include "scan/chunk_cpu.h"

namespace mdnlab::scan {

Outputs step(const Inputs& inputs) {
  validate(inputs);
  if (inputs.q_BTGK.size(1) != 1 || inputs.cu_seqlens.defined()) {
    throw Error(Code::usage, ErrorText{.what = "scan: step takes one token a sequence",
                                       .found = inputs.cu_seqlens.defined()
                                                    ? "cu_seqlens"
                                                    : "T = " + std::to_string(inputs.q_BTGK.size(1)),
                                       .expected = "T = 1"});
  }
  return step_cpu(inputs);
}

}  // namespace mdnlab::scan
