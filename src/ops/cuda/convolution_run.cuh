// What one thread does of a short convolution: four channels of a run of tokens, a step of kStep at a time,
// while the next step's numbers are on their way. What becomes of the sums is the caller's: silu at the end
// of this file, q and k in query_key_run.cuh.
#pragma once

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops::cuda {

inline constexpr int kPast = kTaps - 1;

// The sums, forward. Tokens are counted from the run's first; one behind the row's last is one of zeros.
template <bool kDocuments, class T, class Machine>
struct ConvolutionRun {
  const ShortConvolution& in;
  std::int64_t channel, start;  // start: the run's first token, over all rows
  int tokens, left;             // of the run; of the row, as far as the run's gradients look
  Quad weight[kTaps];
  Quad x[kPast + kStep];  // the step's tokens behind those before them

  MDNLAB_DEVICE ConvolutionRun(const ShortConvolution& problem, std::int64_t run, std::int64_t first_channel)
      : in(problem), channel(first_channel) {
    const auto runs = static_cast<unsigned>(in.runs_of_row());
    const unsigned row = static_cast<unsigned>(run) / runs, of_row = static_cast<unsigned>(run) % runs;
    const std::int64_t first = std::int64_t{of_row} * kTokens, rest = in.T - first;
    start = row * in.T + first;
    left = static_cast<int>(rest < kTokens + kPast ? rest : kTokens + kPast);
    tokens = left < kTokens ? left : kTokens;
#pragma unroll
    for (int back = 0; back < kTaps; ++back)
      weight[back] = load<Machine>(in.weight_WC + back * in.C + channel);
#pragma unroll
    for (int back = 1; back < kTaps; ++back)
      x[kPast - back] = first >= back ? load<Machine>(x_at(-back)) : Quad{};
  }

  MDNLAB_DEVICE const T* x_at(int n) const {
    return static_cast<const T*>(in.x_BTC) + start * in.x_stride + channel +
           n * static_cast<int>(in.x_stride);
  }
  // How far back the n-th token's document goes. Before a row's first token are zeros.
  MDNLAB_DEVICE int reach(int n) const {
    if constexpr (!kDocuments) return kPast;
    const std::int64_t position = n < left ? in.position_BT[start + n] : 0;
    return static_cast<int>(position < kPast ? position : kPast);
  }

  MDNLAB_DEVICE Quad& of_step(int j) { return x[kPast + j]; }
  MDNLAB_DEVICE const Quad& behind(int j, int back) const { return x[kPast + j - back]; }
  MDNLAB_DEVICE void end_step() {
#pragma unroll
    for (int past = 0; past < kPast; ++past) x[past] = x[past + kStep];
  }

  // base + Σ_back weight_{back,c} · x_{t−back,c} for the step's j-th token. What lies before the document may
  // be NaN: it is left out, not multiplied by 0.
  MDNLAB_DEVICE Quad sum(int j, int reach, const Quad& base) const {
    Quad sum = base;
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
#pragma unroll
      for (int back = 0; back < kTaps; ++back)
        sum.value[c] += weight[back].value[c] * (back <= reach ? behind(j, back).value[c] : 0);
    }
    return sum;
  }
  MDNLAB_DEVICE void store_y(int n, const Quad& y) const {
    Machine::store_if(n < tokens,
                      static_cast<T*>(in.y_BTC) + start * in.C + channel + n * static_cast<int>(in.C), y);
  }
};

// The sums' gradients: dx_{t−back} += weight_back · dsum_t and, over the run's own tokens,
// dweight_back += x_{t−back} · dsum_t. One more step than forward is for dx alone: of the run's last tokens.
// A channel has its gradient from up to kSources tensors; 0: from the first, which has all channels.
template <bool kDocuments, class T, class Machine, int kSources = 0>
struct ConvolutionAdjoint {
  struct Source {
    const T* first;  // the run's first token; where none gives a gradient, something that is there
    int stride;
    bool is_given;
  };

  const ConvolutionRun<kDocuments, T, Machine>& of;
  Source source[kSources > 0 ? kSources : 1];
  Quad dx[kStep]{}, dweight[kTaps]{};  // of the last kStep tokens, in turn; of each tap

  static_assert(kStep == kTaps);

  explicit MDNLAB_DEVICE ConvolutionAdjoint(const ConvolutionRun<kDocuments, T, Machine>& run) : of(run) {
    if constexpr (kSources == 0) {
      source[0].first = static_cast<const T*>(of.in.dy[0].dy) + of.start * of.in.C + of.channel;
      return;
    }
#pragma unroll
    for (Source& none : source) none = {of.x_at(0), 0, false};
#pragma unroll
    for (const ChannelAdjoint& part : of.in.dy) {
      if (of.channel < part.first || of.channel >= part.end) continue;
      const T* const dy = static_cast<const T*>(part.dy) + of.start * part.stride + (of.channel - part.first);
      const Source found{dy, static_cast<int>(part.stride), true};
      if (kSources > 1 && source[0].is_given) {
        source[kSources - 1] = found;
      } else {
        source[0] = found;
      }
    }
  }

  // stream: the first of those that bring the gradients.
  template <class Ahead>
  MDNLAB_DEVICE void ask(Ahead& ahead, int stream, int j, int n) const {
    if constexpr (kSources == 0)
      ahead.ask(stream, j, source[0].first + n * static_cast<int>(of.in.C), n < of.left);
#pragma unroll
    for (int i = 0; i < kSources; ++i)
      ahead.ask(stream + i, j, source[i].first + n * source[i].stride, source[i].is_given && n < of.left);
  }
  template <class Ahead>
  MDNLAB_DEVICE Quad dy(const Ahead& ahead, int stream, int j) const {
    Quad sum = ahead.take(stream, j);
    if constexpr (kSources > 1) {
      const Quad other = ahead.take(stream + 1, j);
#pragma unroll
      for (int c = 0; c < kChannels; ++c) sum.value[c] += other.value[c];
    }
    return sum;
  }

  MDNLAB_DEVICE T* dx_at(int n) const {
    return static_cast<T*>(of.in.dx_BTC) + of.start * of.in.dx_stride + of.channel +
           n * static_cast<int>(of.in.dx_stride);
  }

  // The step's j-th token, which is the run's n-th, one more than before.
  MDNLAB_DEVICE void take(int j, int n, int reach, const Quad& dsum) {
    dx[j] = Quad{};
#pragma unroll
    for (int back = 0; back < kTaps; ++back) {
      if (back > reach) continue;
      Quad& before = dx[(j + kStep - back) % kStep];
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        before.value[c] += of.weight[back].value[c] * dsum.value[c];
        dweight[back].value[c] += of.behind(j, back).value[c] * dsum.value[c];
      }
    }
    const int s = n - kPast;
    Machine::store_if(0 <= s && s < of.tokens, dx_at(s), dx[(j + 1) % kStep]);
  }

  // Before the step that is for dx alone.
  MDNLAB_DEVICE void store_dweight(std::int64_t run) const {
#pragma unroll
    for (int back = 0; back < kTaps; ++back)
      Machine::store(of.in.dweight_RWC + (run * kTaps + back) * of.in.C + of.channel, dweight[back]);
  }
};

// y_t = silu(sum_t + bias)
template <bool kDocuments, class T, class Machine>
MDNLAB_DEVICE void convolve_run(const ShortConvolution& in, std::int64_t run, std::int64_t channel) {
  ConvolutionRun<kDocuments, T, Machine> x(in, run, channel);
  typename Machine::template Ahead<T, 1> ahead;
  const auto ask = [&](int j, int n) { ahead.ask(0, j, x.x_at(n), n < x.tokens); };
  const Quad bias = in.bias_C ? load<Machine>(in.bias_C + channel) : Quad{};
  const int steps = in.steps();
  ahead.first_step(ask);
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    ahead.next_step(ask);
#pragma unroll
    for (int j = 0; j < kStep; ++j) {
      const int n = step * kStep + j;
      x.of_step(j) = ahead.take(0, j);
      Quad y = x.sum(j, x.reach(n), bias);
#pragma unroll
      for (int c = 0; c < kChannels; ++c) y.value[c] = silu<Machine>(y.value[c]).value;
      x.store_y(n, y);
    }
    x.end_step();
  }
}

template <bool kDocuments, class T, class Machine, int kSources>
MDNLAB_DEVICE void convolve_run_backward(const ShortConvolution& in, std::int64_t run, std::int64_t channel) {
  ConvolutionRun<kDocuments, T, Machine> x(in, run, channel);
  ConvolutionAdjoint<kDocuments, T, Machine, kSources> adjoint(x);
  typename Machine::template Ahead<T, 1 + kSources> ahead;
  const auto ask = [&](int j, int n) {
    ahead.ask(0, j, x.x_at(n), n < x.left);
    adjoint.ask(ahead, 1, j, n);
  };
  const Quad bias = in.bias_C ? load<Machine>(in.bias_C + channel) : Quad{};
  Quad dbias{};
  const int steps = in.steps();
  ahead.first_step(ask);
#pragma unroll 1
  for (int step = 0; step <= steps; ++step) {
    if (step == steps) {
      adjoint.store_dweight(run);
      if (in.dbias_RC) Machine::store(in.dbias_RC + run * in.C + channel, dbias);
    }
    ahead.next_step(ask);
#pragma unroll
    for (int j = 0; j < kStep; ++j) {
      const int n = step * kStep + j, reach = x.reach(n);
      x.of_step(j) = ahead.take(0, j);
      Quad dsum = adjoint.dy(ahead, 1, j);
      const Quad sum = x.sum(j, reach, bias);
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        dsum.value[c] *= silu<Machine>(sum.value[c]).slope;
        dbias.value[c] += dsum.value[c];
      }
      adjoint.take(j, n, reach, dsum);
    }
    x.end_step();
  }
}

}  // namespace mdnlab::ops::cuda
