// What one thread does of rotary positions: four pairs of channels, (i, i + K/2), of every head of a token.
#pragma once

#include <cmath>

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops::cuda {

// token < in.tokens, 0 ≤ pair < K/2 in steps of four.
template <class T, class Machine>
MDNLAB_DEVICE void rotate(const Rotary& in, std::int64_t token, int pair) {
  constexpr double kTurnsOfRadian = 0.15915494309189535;
  const int half = in.K / 2;
  double turns = static_cast<double>(in.position_BT[token % in.positions]) * kTurnsOfRadian *
                 std::exp(in.log_next * pair);
  Quad cosine, sine;
#pragma unroll
  for (int n = 0; n < kChannels; ++n) {
    // Whole turns are taken off in float64; float32 is for what is left.
    const auto [sin, cos] = Machine::direction(static_cast<float>(turns - std::rint(turns)));
    cosine.value[n] = cos;
    sine.value[n] = in.sign * sin;
    turns *= in.next;
  }
#pragma unroll 4
  for (int head = 0; head < in.heads; ++head) {
    const std::int64_t at = (token * in.heads + head) * in.K + pair;
    const Quad first = load<Machine>(static_cast<const T*>(in.x_BTHK) + at),
               second = load<Machine>(static_cast<const T*>(in.x_BTHK) + at + half);
    Quad y_first, y_second;
#pragma unroll
    for (int n = 0; n < kChannels; ++n) {
      y_first.value[n] = first.value[n] * cosine.value[n] - second.value[n] * sine.value[n];
      y_second.value[n] = second.value[n] * cosine.value[n] + first.value[n] * sine.value[n];
    }
    Machine::store(static_cast<T*>(in.y_BTHK) + at, y_first);
    Machine::store(static_cast<T*>(in.y_BTHK) + at + half, y_second);
  }
}

}  // namespace mdnlab::ops::cuda
