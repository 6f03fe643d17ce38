// What the kernels of this folder pass over memory. All arrays are 16-byte aligned, and contiguous but where
// a stride from row to row says otherwise, a multiple of four elements.
#pragma once

#include <cstdint>

#include "ops/gate_formula.h"

namespace mdnlab::ops::cuda {

inline constexpr int kChannels = 4;  // of a thread: 8 bytes of bf16, 16 of float32
inline constexpr int kTaps = 4;      // of a convolution
inline constexpr int kStep = 4;      // tokens that a thread fetches at once
inline constexpr int kTokens = 64;   // of a run, a multiple of kStep
inline constexpr int kAdjoints = 4;  // that a convolution's channels may have their gradients from
inline constexpr int kMostNorm = 4096;

// The gradient of the channels first, …, end − 1, in rows of its own.
struct ChannelAdjoint {
  const void* dy;
  std::int64_t stride, first, end;  // all multiples of four
};

// B rows of T tokens of C channels, C a multiple of four.
struct ShortConvolution {
  std::int64_t T, C, x_stride;
  std::int64_t runs;                // of all rows: B · runs_of_row()
  const void* x_BTC;                // float32 or bf16, as y, dy, dx
  const float* weight_WC;           // kTaps, the present first; fewer taps are followed by weights of 0
  const float* bias_C;              // null: none
  const std::int64_t* position_BT;  // the token's place in its document; null: a row is one
  void* y_BTC;                      // forward
  ChannelAdjoint dy[kAdjoints];     // backward: they add up, at most two to a channel; behind the last, empty
  void* dx_BTC;
  std::int64_t dx_stride;
  float* dweight_RWC;  // [runs][W]: what each run adds
  float* dbias_RC;     // null: not wanted

  constexpr std::int64_t runs_of_row() const { return (T + kTokens - 1) / kTokens; }
  // Of every run, the last of a row too: so many that all its tokens are in one.
  constexpr int steps() const { return static_cast<int>(((T < kTokens ? T : kTokens) + kStep - 1) / kStep); }
};

// q and k, convolutions without bias, of the same sizes: C = G · width.
struct QueryKey {
  ShortConvolution q, k;
  int width;                  // K: 64, 128 or 256
  const float* correction_G;  // null: none
  float* dcorrection_RC;      // what each run adds in each channel
};

// The projections that the rule uses lie side by side in a row of x, `heads` numbers each.
struct Gates {
  GateRule rule;
  std::int64_t rows, rows_of_run;
  int heads;
  std::int64_t x_stride;              // from row to row, in elements
  const void* x;                      // float32 or bf16
  const float* w_H[kGateParameters];  // null: not given
  float* gates_RH[kGates];            // forward; null: the rule does not give it
  const float* dgates_RH[kGates];     // backward; null: 0
  void* dx;                           // [rows][used · heads]
  float* dw_RPH;                      // [runs][given of w][heads]: what each run adds

  constexpr std::int64_t runs() const { return (rows + rows_of_run - 1) / rows_of_run; }
};

// log α of channels, `width` of a head.
struct ChannelDecay {
  std::int64_t rows, rows_of_run;
  int channels, width;    // multiples of four
  std::int64_t x_stride;  // from row to row, in elements
  const void* x;          // float32 or bf16
  const float *rate_log_H, *bias_C;
  float* y_RC;         // forward
  const float* dy_RC;  // backward
  void* dx;            // [rows][channels]
  float* dw_P2C;       // [runs][rate_log, bias][channels]: what each run adds

  constexpr std::int64_t runs() const { return (rows + rows_of_run - 1) / rows_of_run; }
};

// What is gated by a(z): x̂, or x before the mean.
enum class Gating { none, silu, sigmoid, silu_first };

// x̂ = (x + scale·add)·r·weight with r = (mean² + eps)^−½ over each row, N numbers, or gated. x, sum and their
// gradients are X; add, z, y and theirs are Y. Without a gate there is no scale; with a gate, only one on x
// before the mean has something added, by scale, and no sum.
struct Norm {
  std::int64_t rows, add_stride, z_stride;
  std::int64_t runs;  // the k-th has rows k, k + runs, …; as split_of says (kernels.h)
  int N;              // a multiple of four, at most kMostNorm
  float eps;
  Gating gating;
  const void* x;    // backward: the sum where there was one
  const void* add;  // null: none
  const void* z;    // of a gate
  int width;        // of what a scale is for, a multiple of four
  const float* scale_H;
  const float* weight_N;
  void* sum;  // x + add, where there is add
  void* y;
  const void* dy;    // backward
  const void* dsum;  // null: 0
  void* dx;
  void* dadd;  // dx as Y; null: not wanted
  void* dz;
  std::int64_t dz_stride;
  float* dweight_SN;  // [shares][N]: what the runs add
  float* dscale_SQ;   // [shares][N/4]: likewise
};

// y = silu(gate)·up, all of one dtype, `count` numbers, a multiple of four.
struct Swiglu {
  std::int64_t count;
  const void *gate, *up;
  void* y;
  const void* dy;  // backward
  void *dgate, *dup;
};

// Pairs (i, i + K/2) turned by position · theta^(−2i/K), or back where sign is −1.
struct Rotary {
  std::int64_t tokens, positions;  // B·T; as many, or T: the same for every row
  int heads, K;                    // K a multiple of eight
  float sign;
  double next, log_next;  // theta^(−2/K), from pair to pair, and its logarithm
  const std::int64_t* position_BT;
  const void* x_BTHK;
  void* y_BTHK;
};

// Rows of V logits, which end on a multiple of four: what lies between is read and written as it was.
struct CrossEntropy {
  std::int64_t rows, stride;  // from row to row, in elements
  int V;
  bool differentiate;
  std::int64_t no_label;  // the label of a row that counts nothing
  const std::int64_t* label_N;
  void* x_NV;  // float32 or bf16; softmax − onehot in the end where `differentiate`
  float* loss_N;
};

// x ← factor·x, `count` numbers, a multiple of four.
struct Scaling {
  std::int64_t count;
  const double* factor;
  void* x;
};

}  // namespace mdnlab::ops::cuda
