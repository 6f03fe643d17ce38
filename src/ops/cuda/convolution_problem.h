// What the short convolution's kernels pass over memory.
#pragma once

#include <cstdint>

namespace mdnlab::ops::cuda {

inline constexpr int kChannels = 4;  // of a thread: 8 bytes of bf16, 16 of float32
inline constexpr int kTokens = 32;   // of a run
inline constexpr int kMostTaps = 4;

// B rows of T tokens of C channels (C a multiple of four), all contiguous and 16-byte aligned.
struct ShortConvolution {
  std::int64_t T, C;
  std::int64_t runs;                // of all rows: B · runs_of_row()
  const void* x_BTC;                // float32 or bf16, as y, dy, dx
  const float* weight_WC;           // the present first
  const float* bias_C;              // null: none
  const std::int64_t* position_BT;  // the token's place in its document; null: a row is one
  void* y_BTC;                      // forward
  const void* dy_BTC;               // backward
  void* dx_BTC;
  float* dweight_RWC;  // [runs][W + 1][C]: what each run adds, the bias's last

  constexpr std::int64_t runs_of_row() const { return (T + kTokens - 1) / kTokens; }
};

}  // namespace mdnlab::ops::cuda
