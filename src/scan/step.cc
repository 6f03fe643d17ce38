#include "base/error.h"
#include "scan/implementation.h"

namespace mdnlab::scan {

Outputs step(const Inputs& inputs, std::string_view implementation) {
  validate(inputs);
  if (inputs.q_BTGK.size(1) != 1 || inputs.cu_seqlens.defined()) {
    throw Error(Code::usage, ErrorText{.what = "scan: step takes one token a sequence",
                                       .found = inputs.cu_seqlens.defined()
                                                    ? "cu_seqlens"
                                                    : "T = " + std::to_string(inputs.q_BTGK.size(1)),
                                       .expected = "T = 1"});
  }
  if (needs_gradient(inputs)) {
    return chunk(inputs, {.want_state = true, .implementation = std::string(implementation)});
  }
  const Inputs in = with_own_mu(inputs);
  return choose(in, implementation, Pass::step).step(in);
}

}  // namespace mdnlab::scan
