// What one thread does of log α = −exp(rate_log)·softplus(x + bias): four channels of a head in a run of
// rows.
#pragma once

#include <cmath>

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops::cuda {

template <class T, class Machine>
struct ChannelDecayRun {
  const ChannelDecay& in;
  std::int64_t run, first, end;
  int channel;
  float rate;
  Quad bias;

  MDNLAB_DEVICE ChannelDecayRun(const ChannelDecay& problem, std::int64_t run_index, int first_channel)
      : in(problem),
        run(run_index),
        first(run_index * problem.rows_of_run),
        end(first + problem.rows_of_run < problem.rows ? first + problem.rows_of_run : problem.rows),
        channel(first_channel),
        rate(expf(Machine::load_one(problem.rate_log_H + first_channel / problem.width))),
        bias(load<Machine>(problem.bias_C + first_channel)) {}

  // softplus(z) and its slope σ(z); beyond 20 they are z and 1, as LibTorch has it.
  static MDNLAB_DEVICE Activation softplus(float z) {
    if (z > 20) return {z, 1};
    const float e = Machine::exp(z);
    return {log1pf(e), Machine::quotient(e, 1 + e)};
  }

  MDNLAB_DEVICE Quad x_at(std::int64_t row) const {
    return load<Machine>(static_cast<const T*>(in.x) + row * in.x_stride + channel);
  }

  MDNLAB_DEVICE void forward() const {
    for (std::int64_t row = first; row < end; ++row) {
      const Quad x = x_at(row);
      Quad y;
#pragma unroll
      for (int n = 0; n < kChannels; ++n) y.value[n] = -rate * softplus(x.value[n] + bias.value[n]).value;
      Machine::store(in.y_RC + row * in.channels + channel, y);
    }
  }

  MDNLAB_DEVICE void backward() const {
    Quad drate_log{}, dbias{};
    for (std::int64_t row = first; row < end; ++row) {
      const Quad x = x_at(row), dy = load<Machine>(in.dy_RC + row * in.channels + channel);
      Quad dx;
#pragma unroll
      for (int n = 0; n < kChannels; ++n) {
        const Activation a = softplus(x.value[n] + bias.value[n]);
        const float scaled = -rate * dy.value[n];
        dx.value[n] = scaled * a.slope;
        dbias.value[n] += dx.value[n];
        drate_log.value[n] += scaled * a.value;
      }
      Machine::store(static_cast<T*>(in.dx) + row * in.channels + channel, dx);
    }
    float* const share = in.dw_P2C + run * 2 * in.channels + channel;
    Machine::store(share, drate_log);
    Machine::store(share + in.channels, dbias);
  }
};

}  // namespace mdnlab::ops::cuda
