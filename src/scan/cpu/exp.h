// The exponential of a vector's lanes, right to the last bit or two for arguments ≤ 0, which is what
// log-gates and their sums are. Results below the smallest normal number are 0, so −∞ gives 0.
#pragma once

#include <type_traits>

#include "scan/cpu/vector.h"

namespace mdnlab::scan::cpu {
namespace {

// e^x = 2^n · e^r with n = round(x / ln 2), |r| ≤ ln 2 / 2, and e^r by its Taylor sum up to r^kDegree.
template <class T>
struct Exponential;

template <>
struct Exponential<float> {
  typedef std::uint32_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int kDegree = 7, kMantissaBits = 23, kBias = 127;
  static constexpr float kRound = 0x1.8p23f;  // added, leaves the integer in the lowest bits
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;  // n · high is exact
  static constexpr float kSmallest = -87.3365447f;  // ln of the smallest normal number
};

template <>
struct Exponential<double> {
  typedef std::uint64_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int kDegree = 13, kMantissaBits = 52, kBias = 1023;
  static constexpr double kRound = 0x1.8p52;
  static constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
  static constexpr double kSmallest = -708.396418532264106;
};

template <class T>
inline Vector<T> exponential(Vector<T> x) {
  using E = Exponential<T>;
  using Bits = typename E::Bits;
  constexpr T log2_e = T(1.44269504088896340736);
  const Vector<T> round = Vector<T>{} + E::kRound;
  const Vector<T> shifted = x * log2_e + round, n = shifted - round;
  const Vector<T> r = (x - n * E::kLn2High) - n * E::kLn2Low;
  Vector<T> sum = Vector<T>{} + T(1);
#pragma GCC unroll 16
  for (int degree = E::kDegree; degree > 0; --degree) sum = T(1) + sum * r * T(T(1) / degree);
  const Bits power = ((Bits)shifted - (Bits)round + E::kBias) << E::kMantissaBits;
  return x < E::kSmallest ? Vector<T>{} : sum * (Vector<T>)power;
}

}  // namespace
}  // namespace mdnlab::scan::cpu
