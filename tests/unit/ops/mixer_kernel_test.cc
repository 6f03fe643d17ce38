// The kernel of a linear layer's step, on the CPU.
#include "decode_reference.h"
#include "ops/cuda/mixer_step.cu"

namespace mdnlab::ops::cuda {
namespace {

void check(int R, int H, int G, int K, int V, const StepOptions& options) {
  Arrays arrays(static_cast<unsigned>(R));
  MixerStep step = random_step(arrays, R, H, G, K, V, options);
  step.y_RHV = arrays.halves(R * H * V, 1, "y");
  arrays.copy();
  expect_step(arrays, step);
  ASSERT_EQ(mixer_step(step, nullptr), cudaSuccess);
  arrays.expect_equal(2e-3, std::to_string(R) + " sequences");
}

TEST(MixerKernel, SaysWhatTheRecurrenceInDoubleSays) {
  check(9, 2, 2, 64, 128, {.correction = true});
  check(3, 2, 1, 128, 64, {.momentum = false, .delta = false, .gate = false});
  check(2, 1, 1, 256, 96, {.channels = true, .silu = true});
  check(13, 2, 2, 64, 32, {.momentum = false, .channels = true, .correction = true});
}

}  // namespace
}  // namespace mdnlab::ops::cuda
