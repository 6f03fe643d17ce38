// What one thread does of the short convolution with its bias and silu: four channels of a run of tokens, a
// window of W inputs in registers. Plain C++ but for the attributes, so that a test runs it on the CPU.
#pragma once

#include "ops/cuda/convolution_problem.h"

#ifdef __CUDACC__
#define MDNLAB_DEVICE __device__ __forceinline__
#else
#define MDNLAB_DEVICE inline
#endif

namespace mdnlab::ops::cuda {

struct Quad {
  float value[kChannels];
};

// How the four channels at p lie in memory is the caller's: load(p) → Quad, store(p, Quad).
template <int W, class T, class Memory>
struct ConvolutionRun {
  const ShortConvolution& in;
  std::int64_t channel, row, first, end;  // tokens [first, end) of the row
  Quad weight[W], bias;
  Quad window[W];  // x_{t−back}

  MDNLAB_DEVICE ConvolutionRun(const ShortConvolution& problem, std::int64_t run, std::int64_t first_channel)
      : in(problem), channel(first_channel) {
    row = run / in.runs_of_row();
    first = run % in.runs_of_row() * kTokens;
    end = first + kTokens < in.T ? first + kTokens : in.T;
#pragma unroll
    for (int back = 0; back < W; ++back) weight[back] = Memory::load(in.weight_WC + back * in.C + channel);
    bias = in.bias_C ? Memory::load(in.bias_C + channel) : Quad{};
#pragma unroll
    for (int back = 1; back < W; ++back)  // as the token before the first would leave it
      window[back - 1] = first >= back ? Memory::load(x() + at(first - back)) : Quad{};
  }

  MDNLAB_DEVICE const T* x() const { return static_cast<const T*>(in.x_BTC); }
  MDNLAB_DEVICE std::int64_t at(std::int64_t t) const { return (row * in.T + t) * in.C + channel; }
  MDNLAB_DEVICE std::int64_t reach(std::int64_t t) const {
    return in.position_BT ? in.position_BT[row * in.T + t] : t;
  }

  // sum_{t,c} = bias_c + Σ_back weight_{back,c} · x_{t−back,c}; t is one more than before. What lies before
  // the document may be NaN: it is left out, not multiplied by 0.
  MDNLAB_DEVICE Quad next_sum(std::int64_t t, std::int64_t reach) {
#pragma unroll
    for (int back = W - 1; back > 0; --back) window[back] = window[back - 1];
    window[0] = Memory::load(x() + at(t));
    Quad sum;
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      sum.value[c] = weight[0].value[c] * window[0].value[c];
#pragma unroll
      for (int back = 1; back < W; ++back)
        sum.value[c] += back <= reach ? weight[back].value[c] * window[back].value[c] : 0;
      sum.value[c] += bias.value[c];
    }
    return sum;
  }

  MDNLAB_DEVICE static float sigmoid(float z) { return 1 / (1 + Memory::exp(-z)); }

  // y_t = silu(sum_t)
  MDNLAB_DEVICE void forward() {
#pragma unroll 4
    for (std::int64_t t = first; t < end; ++t) {
      Quad sum = next_sum(t, reach(t));
#pragma unroll
      for (int c = 0; c < kChannels; ++c) sum.value[c] = sum.value[c] / (1 + Memory::exp(-sum.value[c]));
      Memory::store(static_cast<T*>(in.y_BTC) + at(t), sum);
    }
  }

  // dsum_t = dy_t · silu'(sum_t),   dx_s = Σ_back weight_back · dsum_{s+back},
  // dweight_back = Σ_t x_{t−back} · dsum_t and dbias = Σ_t dsum_t over the run's own tokens. The W − 1 tokens
  // behind the run are gone through for dx alone.
  MDNLAB_DEVICE void backward(std::int64_t run) {
    Quad dsums[W]{}, dweight[W + 1]{};  // of t − j; of each tap, and the bias
    std::int64_t reaches[W];
#pragma unroll
    for (int j = 0; j < W; ++j) reaches[j] = -1;
#pragma unroll 2
    for (std::int64_t t = first; t < end + W - 1; ++t) {
#pragma unroll
      for (int j = W - 1; j > 0; --j) {
        dsums[j] = dsums[j - 1];
        reaches[j] = reaches[j - 1];
      }
      dsums[0] = Quad{};
      reaches[0] = -1;
      if (t < in.T) {
        reaches[0] = reach(t);
        const Quad sum = next_sum(t, reaches[0]), dy = Memory::load(static_cast<const T*>(in.dy_BTC) + at(t));
#pragma unroll
        for (int c = 0; c < kChannels; ++c) {
          const float s = sigmoid(sum.value[c]);
          dsums[0].value[c] = dy.value[c] * (s * (1 + sum.value[c] * (1 - s)));
        }
      }
      if (t < end) {
#pragma unroll
        for (int c = 0; c < kChannels; ++c) {
#pragma unroll
          for (int back = 0; back < W; ++back)
            dweight[back].value[c] += back <= reaches[0] ? window[back].value[c] * dsums[0].value[c] : 0;
          dweight[W].value[c] += dsums[0].value[c];
        }
      }
      const std::int64_t s = t - (W - 1);
      if (s < first) continue;
      Quad dx;
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        dx.value[c] = 0;
#pragma unroll
        for (int back = 0; back < W; ++back)
          dx.value[c] +=
              back <= reaches[W - 1 - back] ? weight[back].value[c] * dsums[W - 1 - back].value[c] : 0;
      }
      Memory::store(static_cast<T*>(in.dx_BTC) + at(s), dx);
    }
#pragma unroll
    for (int back = 0; back <= W; ++back)
      Memory::store(in.dweight_RWC + (run * (W + 1) + back) * in.C + channel, dweight[back]);
  }
};

}  // namespace mdnlab::ops::cuda
