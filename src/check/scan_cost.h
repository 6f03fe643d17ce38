// What a scan costs at the least: the operations of its chunk form and the bytes it must move, and the time
// that an H200 needs for the larger of the two.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string_view>

namespace mdnlab {

struct ScanShape {
  std::int64_t B = 1, T = 1024, H = 4, K = 64, V = 64;
  std::int64_t G = 0;  // key heads; 0: H

  std::int64_t key_heads() const { return G > 0 ? G : H; }
};

struct ScanCell {
  bool has_delta = false, has_momentum = false, has_decay = true;
  bool has_channel_decay = false;  // with momentum, μ is channel-wise as well
};

struct ScanCost {
  double operations = 0;  // a multiply-add is two
  double bytes = 0;
};

// `direction` is fwd, fwd+bwd or step (of B sequences). Operations are the matrix products of recurrences.md,
// sections 2 and 3, in chunks of 64, with the states kept for backward; triangles count as squares. Bytes are
// every input, output, adjoint and gradient once; of a step the state, read and written.
ScanCost scan_cost(const ScanCell& cell, const ScanShape& shape, c10::ScalarType dtype,
                   std::string_view direction);

// On an H200: 4.3 TB/s of copies (read and written), 760 TFLOP/s of bf16 products on random data, both
// measured with LibTorch. 0 for dtypes whose rate was not measured, but for a step, which is bytes alone.
double floor_ms(const ScanCost& cost, c10::ScalarType dtype, std::string_view direction);

}  // namespace mdnlab
