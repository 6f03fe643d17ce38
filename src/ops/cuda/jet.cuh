// A number with its derivatives by the N inputs of a formula: the formula's gradient without another line.
// Slopes are those that LibTorch gives the same functions.
#pragma once

#include <cmath>

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops::cuda {

template <int N>
struct Jet {
  float value = 0;
  float slope[N > 0 ? N : 1] = {};

  Jet() = default;
  MDNLAB_DEVICE Jet(float constant) : value(constant) {}
  // The input of this index.
  static MDNLAB_DEVICE Jet input(float value, int index) {
    Jet x(value);
#pragma unroll
    for (int n = 0; n < N; ++n) x.slope[n] = n == index ? 1.F : 0.F;
    return x;
  }
};

// f(x, y) from its value and slopes.
template <int N>
MDNLAB_DEVICE Jet<N> chain(float value, const Jet<N>& x, float by_x, const Jet<N>& y, float by_y) {
  Jet<N> f(value);
#pragma unroll
  for (int n = 0; n < N; ++n) f.slope[n] = by_x * x.slope[n] + by_y * y.slope[n];
  return f;
}
template <int N>
MDNLAB_DEVICE Jet<N> chain(float value, const Jet<N>& x, float by_x) {
  Jet<N> f(value);
#pragma unroll
  for (int n = 0; n < N; ++n) f.slope[n] = by_x * x.slope[n];
  return f;
}

template <int N>
MDNLAB_DEVICE Jet<N> operator+(const Jet<N>& x, const Jet<N>& y) {
  return chain(x.value + y.value, x, 1, y, 1);
}
template <int N>
MDNLAB_DEVICE Jet<N> operator-(const Jet<N>& x, const Jet<N>& y) {
  return chain(x.value - y.value, x, 1, y, -1);
}
template <int N>
MDNLAB_DEVICE Jet<N> operator*(const Jet<N>& x, const Jet<N>& y) {
  return chain(x.value * y.value, x, y.value, y, x.value);
}
template <int N>
MDNLAB_DEVICE Jet<N> operator/(const Jet<N>& x, const Jet<N>& y) {
  return chain(x.value / y.value, x, 1 / y.value, y, -x.value / y.value / y.value);
}
template <int N>
MDNLAB_DEVICE Jet<N> operator-(const Jet<N>& x) {
  return chain(-x.value, x, -1);
}
template <int N>
MDNLAB_DEVICE Jet<N> operator+(const Jet<N>& x, float y) {
  return chain(x.value + y, x, 1);
}
template <int N>
MDNLAB_DEVICE Jet<N> operator+(float x, const Jet<N>& y) {
  return chain(x + y.value, y, 1);
}
template <int N>
MDNLAB_DEVICE Jet<N> operator-(float x, const Jet<N>& y) {
  return chain(x - y.value, y, -1);
}
template <int N>
MDNLAB_DEVICE Jet<N> operator*(const Jet<N>& x, float y) {
  return chain(x.value * y, x, y);
}
template <int N>
MDNLAB_DEVICE Jet<N> operator*(float x, const Jet<N>& y) {
  return y * x;
}
template <int N>
MDNLAB_DEVICE Jet<N> operator/(const Jet<N>& x, float y) {
  return chain(x.value / y, x, 1 / y);
}

template <int N>
MDNLAB_DEVICE Jet<N> exp(const Jet<N>& x) {
  const float y = expf(x.value);
  return chain(y, x, y);
}
template <int N>
MDNLAB_DEVICE Jet<N> expm1(const Jet<N>& x) {
  const float y = expm1f(x.value);
  return chain(y, x, y + 1);
}
template <int N>
MDNLAB_DEVICE Jet<N> log(const Jet<N>& x) {
  return chain(logf(x.value), x, 1 / x.value);
}
template <int N>
MDNLAB_DEVICE Jet<N> log1p(const Jet<N>& x) {
  return chain(log1pf(x.value), x, 1 / (1 + x.value));
}
template <int N>
MDNLAB_DEVICE Jet<N> sqrt(const Jet<N>& x) {
  const float y = sqrtf(x.value);
  return chain(y, x, 0.5F / y);
}
template <int N>
MDNLAB_DEVICE Jet<N> square(const Jet<N>& x) {
  return chain(x.value * x.value, x, 2 * x.value);
}
template <int N>
MDNLAB_DEVICE Jet<N> tanh(const Jet<N>& x) {
  const float y = tanhf(x.value);
  return chain(y, x, 1 - y * y);
}
template <int N>
MDNLAB_DEVICE Jet<N> sigmoid(const Jet<N>& x) {
  const float y = 1 / (1 + expf(-x.value));
  return chain(y, x, y * (1 - y));
}
template <int N>
MDNLAB_DEVICE Jet<N> softplus(const Jet<N>& x) {
  if (x.value > 20) return x;
  const float e = expf(x.value);
  return chain(log1pf(e), x, e / (1 + e));
}
template <int N>
MDNLAB_DEVICE Jet<N> clamp_min(const Jet<N>& x, float least) {
  return x.value < least ? Jet<N>(least) : x;
}

}  // namespace mdnlab::ops::cuda
