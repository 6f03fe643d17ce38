// What one thread does of SwiGLU: four numbers.
#pragma once

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops::cuda {

template <class T, class Machine>
MDNLAB_DEVICE void swiglu_quad(const Swiglu& in, std::int64_t at) {
  const Quad gate = load<Machine>(static_cast<const T*>(in.gate) + at),
             up = load<Machine>(static_cast<const T*>(in.up) + at);
  Quad y;
#pragma unroll
  for (int n = 0; n < kChannels; ++n) y.value[n] = silu<Machine>(gate.value[n]).value * up.value[n];
  Machine::store(static_cast<T*>(in.y) + at, y);
}
template <class T, class Machine>
MDNLAB_DEVICE void swiglu_quad_backward(const Swiglu& in, std::int64_t at) {
  const Quad gate = load<Machine>(static_cast<const T*>(in.gate) + at),
             up = load<Machine>(static_cast<const T*>(in.up) + at),
             dy = load<Machine>(static_cast<const T*>(in.dy) + at);
  Quad dgate, dup;
#pragma unroll
  for (int n = 0; n < kChannels; ++n) {
    const Activation a = silu<Machine>(gate.value[n]);
    dgate.value[n] = dy.value[n] * up.value[n] * a.slope;
    dup.value[n] = dy.value[n] * a.value;
  }
  Machine::store(static_cast<T*>(in.dgate) + at, dgate);
  Machine::store(static_cast<T*>(in.dup) + at, dup);
}

}  // namespace mdnlab::ops::cuda
