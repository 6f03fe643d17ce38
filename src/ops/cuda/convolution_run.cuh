// What one thread does of a short convolution: four channels of a run of tokens, a window of W inputs in
// registers. What becomes of the sums is the caller's: silu at the end of this file, q and k in
// query_key_run.cuh.
#pragma once

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops::cuda {

// The sums, forward.
template <int W, class T, class Machine>
struct ConvolutionWindow {
  const ShortConvolution& in;
  std::int64_t channel, row, first, end;  // tokens [first, end) of the row
  Quad weight[W];
  Quad window[W];  // x_{t−back}
  Fetched<Machine, T> coming;

  MDNLAB_DEVICE ConvolutionWindow(const ShortConvolution& problem, std::int64_t run,
                                  std::int64_t first_channel)
      : in(problem), channel(first_channel) {
    row = run / in.runs_of_row();
    first = run % in.runs_of_row() * kTokens;
    end = first + kTokens < in.T ? first + kTokens : in.T;
#pragma unroll
    for (int back = 0; back < W; ++back) weight[back] = load<Machine>(in.weight_WC + back * in.C + channel);
#pragma unroll
    for (int back = 1; back < W; ++back)  // as the token before the first would leave it
      window[back - 1] = first >= back ? load<Machine>(x(first - back)) : Quad{};
    coming = Machine::fetch(x(first));
  }

  MDNLAB_DEVICE const T* x(std::int64_t t) const {
    return static_cast<const T*>(in.x_BTC) + (row * in.T + t) * in.x_stride + channel;
  }
  MDNLAB_DEVICE std::int64_t at(std::int64_t t) const { return (row * in.T + t) * in.C + channel; }
  MDNLAB_DEVICE std::int64_t after(std::int64_t t) const { return t + 1 < in.T ? t + 1 : t; }
  MDNLAB_DEVICE void store_y(std::int64_t t, const Quad& y) const {
    Machine::store(static_cast<T*>(in.y_BTC) + at(t), y);
  }
  MDNLAB_DEVICE int reach(std::int64_t t) const {
    return static_cast<int>(in.position_BT ? in.position_BT[row * in.T + t] : t);
  }

  // sum_{t,c} = Σ_back weight_{back,c} · x_{t−back,c}; t is one more than before. What lies before the
  // document may be NaN: it is left out, not multiplied by 0.
  MDNLAB_DEVICE Quad next_sum(std::int64_t t, int reach) {
#pragma unroll
    for (int back = W - 1; back > 0; --back) window[back] = window[back - 1];
    window[0] = Machine::widen(coming);
    coming = Machine::fetch(x(after(t)));
    Quad sum;
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      sum.value[c] = weight[0].value[c] * window[0].value[c];
#pragma unroll
      for (int back = 1; back < W; ++back)
        sum.value[c] += back <= reach ? weight[back].value[c] * window[back].value[c] : 0;
    }
    return sum;
  }
};

// The sums' gradients: dx_{t−back} += weight_back · dsum_t and, over the run's own tokens,
// dweight_back += x_{t−back} · dsum_t. The W − 1 tokens behind the run are gone through for dx alone.
template <int W, class T, class Machine>
struct ConvolutionAdjoint {
  const ConvolutionWindow<W, T, Machine>& of;
  Quad dx[W]{}, dweight[W]{};  // of t − back; of each tap
  Fetched<Machine, T> coming;

  explicit MDNLAB_DEVICE ConvolutionAdjoint(const ConvolutionWindow<W, T, Machine>& window)
      : of(window), coming(Machine::fetch(dy() + window.at(window.first))) {}

  MDNLAB_DEVICE const T* dy() const { return static_cast<const T*>(of.in.dy_BTC); }

  // dy_t; t is one more than before.
  MDNLAB_DEVICE Quad next_dy(std::int64_t t) {
    const Quad now = Machine::widen(coming);
    coming = Machine::fetch(dy() + of.at(of.after(t)));
    return now;
  }

  // t is one more than before, up to end + W − 2; where there is no such token, dsum is 0.
  MDNLAB_DEVICE void take(std::int64_t t, int reach, const Quad& dsum) {
#pragma unroll
    for (int back = W - 1; back > 0; --back) dx[back] = dx[back - 1];
    dx[0] = Quad{};
#pragma unroll
    for (int back = 0; back < W; ++back) {
      if (back > reach) continue;
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        dx[back].value[c] += of.weight[back].value[c] * dsum.value[c];
        if (t < of.end) dweight[back].value[c] += of.window[back].value[c] * dsum.value[c];
      }
    }
    const std::int64_t s = t - (W - 1);
    if (s >= of.first) Machine::store(static_cast<T*>(of.in.dx_BTC) + of.at(s), dx[W - 1]);
  }

  MDNLAB_DEVICE void finish(std::int64_t run) const {
#pragma unroll
    for (int back = 0; back < W; ++back)
      Machine::store(of.in.dweight_RWC + (run * W + back) * of.in.C + of.channel, dweight[back]);
  }
};

// y_t = silu(sum_t + bias)
template <int W, class T, class Machine>
MDNLAB_DEVICE void convolve_run(const ShortConvolution& in, std::int64_t run, std::int64_t channel) {
  ConvolutionWindow<W, T, Machine> x(in, run, channel);
  const Quad bias = in.bias_C ? load<Machine>(in.bias_C + channel) : Quad{};
#pragma unroll 4
  for (std::int64_t t = x.first; t < x.end; ++t) {
    Quad sum = x.next_sum(t, x.reach(t));
#pragma unroll
    for (int c = 0; c < kChannels; ++c) sum.value[c] = silu<Machine>(sum.value[c] + bias.value[c]).value;
    x.store_y(t, sum);
  }
}

template <int W, class T, class Machine>
MDNLAB_DEVICE void convolve_run_backward(const ShortConvolution& in, std::int64_t run, std::int64_t channel) {
  ConvolutionWindow<W, T, Machine> x(in, run, channel);
  ConvolutionAdjoint<W, T, Machine> adjoint(x);
  const Quad bias = in.bias_C ? load<Machine>(in.bias_C + channel) : Quad{};
  Quad dbias{};
#pragma unroll 2
  for (std::int64_t t = x.first; t < x.end + W - 1; ++t) {
    Quad dsum{};
    int reach = 0;
    if (t < in.T) {
      reach = x.reach(t);
      const Quad sum = x.next_sum(t, reach), dy = adjoint.next_dy(t);
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        dsum.value[c] = dy.value[c] * silu<Machine>(sum.value[c] + bias.value[c]).slope;
        dbias.value[c] += t < x.end ? dsum.value[c] : 0;
      }
    }
    adjoint.take(t, reach, dsum);
  }
  adjoint.finish(run);
  if (in.dbias_RC) Machine::store(in.dbias_RC + run * in.C + channel, dbias);
}

}  // namespace mdnlab::ops::cuda
