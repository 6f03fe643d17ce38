// Four channels, what a thread reads or writes at once. Bodies of threads are plain C++ but for the attribute
// here, so that tests run them on the CPU; how a GPU reads, and adds over threads, is a parameter (gpu.cuh).
#pragma once

#include "ops/cuda/problem.h"

namespace mdnlab::ops::cuda {

struct Quad {
  float value[kChannels];
};

// Of an angle, given in turns.
struct Direction {
  float sin, cos;
};

// fetch asks memory for four channels, widen waits for them: what lies between runs meanwhile.
template <class Machine, class T>
using Fetched = decltype(Machine::fetch(static_cast<const T*>(nullptr)));

template <class Machine, class T>
MDNLAB_DEVICE Quad load(const T* p) {
  return Machine::widen(Machine::fetch(p));
}

template <class Machine>
MDNLAB_DEVICE float sigmoid(float z) {
  return Machine::quotient(1, 1 + Machine::exp(-z));
}

// silu(z) = z·σ(z) with its derivative σ + silu·(1 − σ), or σ with σ(1 − σ).
struct Activation {
  float value, slope;
};
template <class Machine>
MDNLAB_DEVICE Activation silu(float z) {
  const float s = sigmoid<Machine>(z), value = z * s;
  return {value, s + value * (1 - s)};
}
template <class Machine>
MDNLAB_DEVICE Activation activation(bool is_silu, float z) {
  if (is_silu) return silu<Machine>(z);
  const float s = sigmoid<Machine>(z);
  return {s, s * (1 - s)};
}

}  // namespace mdnlab::ops::cuda
