// Vectors as wide as the instruction set that this file is compiled for. Everything the kernel's headers
// define has internal linkage: the linker must never serve one instruction set's code to another.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

namespace mdnlab::scan::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kBlockRows = 6;  // rows and vectors of a product's block that stays in registers
constexpr int kBlockVectors = 4;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
constexpr int kBlockRows = 6;
constexpr int kBlockVectors = 2;
#else
constexpr int kVectorBytes = 16;
constexpr int kBlockRows = 6;
constexpr int kBlockVectors = 2;
#endif

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vector = typename VectorOf<T>::type;

template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T>
inline Vector<T> load(const T* source) {
  Vector<T> value;
  std::memcpy(&value, source, sizeof value);
  return value;
}

template <class T>
inline void store(T* target, Vector<T> value) {
  std::memcpy(target, &value, sizeof value);
}

template <class T>
inline Vector<T> lane_numbers() {
  Vector<T> lane;
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = static_cast<T>(i);
  return lane;
}

template <class T, int kHalf, std::size_t... kLane>
inline Vector<T> add_swapped(Vector<T> value, std::index_sequence<kLane...>) {
  return value + __builtin_shufflevector(value, value, (int(kLane) ^ kHalf)...);
}

// Sum of the lanes, by halves.
template <class T, int kHalf = kLanes<T> / 2>
inline T sum(Vector<T> value) {
  if constexpr (kHalf == 0) {
    return value[0];
  } else {
    return sum<T, kHalf / 2>(add_swapped<T, kHalf>(value, std::make_index_sequence<kLanes<T>>()));
  }
}

// `width` is a multiple of the lanes. Four sums at once, or each addition would wait for the one before.
template <class T>
inline T dot(const T* a, const T* b, std::int64_t width) {
  constexpr std::int64_t lanes = kLanes<T>;
  Vector<T> total[4] = {};
  std::int64_t i = 0;
  for (; i + 4 * lanes <= width; i += 4 * lanes) {
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part)
      total[part] += load(a + i + part * lanes) * load(b + i + part * lanes);
  }
  for (; i < width; i += lanes) total[0] += load(a + i) * load(b + i);
  return sum<T>((total[0] + total[1]) + (total[2] + total[3]));
}

}  // namespace
}  // namespace mdnlab::scan::cpu
