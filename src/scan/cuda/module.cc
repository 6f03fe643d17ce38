// The entry of libmdnlab_cuda.so: what it adds to the scan.
#include <string_view>

#include "scan/cuda/bind_chunk.h"
#include "scan/cuda/bind_step.h"
#include "scan/cuda/device.h"
#include "scan/cuda/entry.h"
#include "scan/cuda/table.h"

namespace mdnlab::scan {

namespace {

std::string refusal_of_chunk(const Inputs& inputs) {
  const std::string reason = refusal(query_of(inputs, gpu_properties(inputs.q_BTGK.device()).capability));
  return reason.empty() ? refusal_of_hopper(inputs) : reason;
}

}  // namespace

}  // namespace mdnlab::scan

extern "C" __attribute__((visibility("default"))) int mdnlab_cuda_register(const char* stamp) {
  if (stamp != std::string_view(MDNLAB_CUDA_STAMP)) return 1;
  using namespace mdnlab::scan;
  add_implementation(at::kCUDA, {.name = "hopper",
                                 .refusal = refusal_of_chunk,
                                 .forward = forward_hopper,
                                 .backward = backward_hopper,
                                 .step = step_on_gpu,
                                 .step_refusal = refusal_of_gpu_step,
                                 .takes_shared_mu = true,
                                 .prepares_again = true});
  return 0;
}
