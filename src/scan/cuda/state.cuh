// A warpgroup holds 64 value columns of a state, Xᵀ = [Sᵀ; Mᵀ] (64×2K float32), in registers. What it does
// with it: both scans, forward and reverse, are made of these steps.
#pragma once

#include "scan/cuda/problem.h"
#include "scan/cuda/short_range.cuh"
#include "scan/cuda/sm90.cuh"

namespace mdnlab::scan::cuda {

// Columns of a fragment's registers: (2n + e) of 16 for column 8n + 2(lane mod 4) + e.
__device__ inline float2 pair_of(const float (&row)[kChunk], int n, int lane, float factor = 1) {
  const float2 pair = *reinterpret_cast<const float2*>(&row[8 * n + 2 * (lane % 4)]);
  return {pair.x * factor, pair.y * factor};
}

// Calls put(n, low rows, high rows) with two elements each of the transpose of a panel: row v, columns t of
// block n.
template <class Put>
__device__ inline void for_each_transposed(std::uint32_t panel, int warp, int lane, Put&& put) {
#pragma unroll
  for (int n = 0; n < 8; n += 2) {
    std::uint32_t r[4];
    load_matrices_transposed(piece_address(panel, 8 * n + lane % 8 + lane / 16 * 8, 2 * warp + lane / 8 % 2),
                             r);
    put(n, r[0], r[1]);
    put(n + 1, r[2], r[3]);
  }
}

// z = the panel transposed: 64 values × 64 tokens from rows of tokens.
template <class T>
__device__ inline void load_transposed(float (&z)[32], std::uint32_t panel, int warp, int lane) {
  for_each_transposed(panel, warp, lane, [&](int n, std::uint32_t low, std::uint32_t high) {
    z[4 * n] = Element<T>::low(low);
    z[4 * n + 1] = Element<T>::high(low);
    z[4 * n + 2] = Element<T>::low(high);
    z[4 * n + 3] = Element<T>::high(high);
  });
}

// z = the panel transposed − z.
template <class T>
__device__ inline void subtract_from_transposed(float (&z)[32], std::uint32_t panel, int warp, int lane) {
  for_each_transposed(panel, warp, lane, [&](int n, std::uint32_t low, std::uint32_t high) {
    z[4 * n] = Element<T>::low(low) - z[4 * n];
    z[4 * n + 1] = Element<T>::high(low) - z[4 * n + 1];
    z[4 * n + 2] = Element<T>::low(high) - z[4 * n + 2];
    z[4 * n + 3] = Element<T>::high(high) - z[4 * n + 3];
  });
}

// A 64×64 operand A into a panel.
__device__ inline void lay_operand(const std::uint32_t (&a)[16], std::uint32_t panel, int warp, int lane) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    store_matrices(piece_address(panel, warp * 16 + lane % 16, 2 * i + lane / 16), a[4 * i], a[4 * i + 1],
                   a[4 * i + 2], a[4 * i + 3]);
  }
}

// Half of the state, as registers of 64 value rows × K key columns.
template <int K>
using Half = float[K / 2];

template <int K, bool load>
__device__ inline void exchange_state(Half<K>& half, const float* from, float* to, int value_width, int warp,
                                      int lane) {
  const std::int64_t first = std::int64_t{2 * (lane % 4)} * value_width + 16 * warp + lane / 4,
                     eight_keys = std::int64_t{8} * value_width;
  const float* read = from + first;
  float* write = to + first;
#pragma unroll
  for (int n = 0; n < K / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int at = i % 2 * value_width + i / 2 * 8;
      if constexpr (load) {
        half[4 * n + i] = from ? read[at] : 0.0f;
      } else {
        write[at] = half[4 * n + i];
      }
    }
    read += eight_keys;
    write += eight_keys;
    asm volatile("" ::: "memory");  // few loads at a time: their addresses take registers
  }
}

// z (64 values × 64 tokens) = half · Kᵀ for an operand k of 64 tokens along k, two steps of 16 at a time so
// that few registers hold the rounded state, which is also laid into the panels `staged`, `panel_bytes`
// apart, unless `lay` is false.
template <class T, int K, bool multiply, int panel_bytes = 8192, bool lay = true>
__device__ inline void read_half(const Half<K>& half, float (&z)[32], std::uint64_t k, std::uint32_t staged,
                                 int warp, int lane) {
  std::uint32_t a[2][8];
#pragma unroll
  for (int i = 0; i < K / 32; ++i) {
    if (multiply && i >= 2) wait_products<1>();
#pragma unroll
    for (int j = 0; j < 8; ++j)
      a[i % 2][j] = Element<T>::pack(half[16 * i + 2 * j], half[16 * i + 2 * j + 1]);
#pragma unroll
    for (int s = 0; lay && s < 2; ++s) {
      const int step = 2 * i + s;
      store_matrices(
          piece_address(staged + step / 4 * panel_bytes, warp * 16 + lane % 16, step % 4 * 2 + lane / 16),
          a[i % 2][4 * s], a[i % 2][4 * s + 1], a[i % 2][4 * s + 2], a[i % 2][4 * s + 3]);
    }
    if constexpr (multiply) {
      fence_fragment(z);
      begin_products();
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        product<Major::k>(z, static_cast<const T*>(nullptr), &a[i % 2][4 * s], k + step<Major::k>(2 * i + s),
                          i + s > 0);
      }
      commit_products();
    }
  }
}

// A swizzled matrix of 64 rows and 16·steps columns as an operand A.
template <int steps, int N>
__device__ inline void load_operand(std::uint32_t (&a)[N], std::uint32_t panels, int warp, int lane) {
#pragma unroll
  for (int i = 0; i < steps; ++i) {
    load_matrices(piece_address(panels + i / 4 * 8192, warp * 16 + lane % 16, i % 4 * 2 + lane / 16),
                  &a[4 * i]);
  }
}

// X ← ΦX: s ← keep_S s − cross m, m ← keep_M m, scaled up for what will be added.
template <bool has_momentum, int N>
__device__ inline void decay_state(float (&s)[N], float (&m)[N], const Coefficients& of, Scale scale_S,
                                   Scale scale_M) {
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if constexpr (has_momentum) {
      s[i] = of.keep_S * scale_S.up * s[i] - of.cross * scale_S.up * m[i];
      m[i] *= of.keep_M * scale_M.up;
    } else {
      s[i] *= of.keep_S * scale_S.up;
    }
  }
}

// Its adjoint: m ← keep_M m − cross s, s ← keep_S s.
template <bool has_momentum, int N>
__device__ inline void decay_adjoint(float (&s)[N], float (&m)[N], const Coefficients& of, Scale scale_S,
                                     Scale scale_M) {
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if constexpr (has_momentum) m[i] = of.keep_M * scale_M.up * m[i] - of.cross * scale_M.up * s[i];
    s[i] *= of.keep_S * scale_S.up;
  }
}

// X ← ā_C∘X, scaled up for what will be added.
template <int K>
__device__ inline void decay(Half<K>& x, const float (&keep)[K], Scale scale, int lane) {
#pragma unroll
  for (int n = 0; n < K / 8; ++n) {
    const float2 factor = *reinterpret_cast<const float2*>(&keep[8 * n + 2 * (lane % 4)]);
#pragma unroll
    for (int i = 4 * n; i < 4 * n + 4; i += 2) x[i] *= factor.x * scale.up, x[i + 1] *= factor.y * scale.up;
  }
}

// half += wᵀ·K for w as an operand (64 values × 64 tokens) and the tile k of 64 tokens.
template <class T, int K>
__device__ inline void write_half(Half<K>& half, const std::uint32_t (&w)[16], std::uint64_t k) {
  fence_fragment(half);
  begin_products();
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    product<Major::mn>(half, static_cast<const T*>(nullptr), &w[4 * i], k + step<Major::mn>(i), true);
  }
  commit_products();
}

// The columns of a fragment times `row` and `factor`, as an operand; element(i) is the fragment's register i.
template <class T, class Element_>
__device__ inline void scale_columns(std::uint32_t (&a)[16], const float (&row)[kChunk], float factor,
                                     int lane, Element_&& element) {
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    const float2 pair = pair_of(row, n, lane, factor);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int i = 4 * n + 2 * h;
      a[i / 2] = Element<T>::pack(pair.x * element(i), pair.y * element(i + 1));
    }
  }
}

// Rows of tokens from the transposed fragment z, 64 values × 2N tokens. Every warp moves its own 16 columns.
template <class T, int N>
__device__ inline void store_tokens(const float (&z)[N], T* panel, T* to, std::int64_t token_stride, int rows,
                                    int warp, int lane) {
  const std::uint32_t address = shared_address(panel);
#pragma unroll
  for (int n = 0; n < N / 4; n += 2) {
    store_matrices_transposed(
        piece_address(address, 8 * n + lane % 8 + lane / 16 * 8, 2 * warp + lane / 8 % 2),
        Element<T>::pack(z[4 * n], z[4 * n + 1]), Element<T>::pack(z[4 * n + 2], z[4 * n + 3]),
        Element<T>::pack(z[4 * n + 4], z[4 * n + 5]), Element<T>::pack(z[4 * n + 6], z[4 * n + 7]));
  }
  __syncwarp();
#pragma unroll
  for (int i = 0; i < N / 8; ++i) {
    const int row = 16 * i + lane / 2, piece = 2 * warp + lane % 2;
    const uint4 value = *reinterpret_cast<const uint4*>(panel + row * kPanel + (piece ^ (row & 7)) * 8);
    if (row < rows) *reinterpret_cast<uint4*>(to + row * token_stride + 8 * piece) = value;
  }
  __syncwarp();
}

}  // namespace mdnlab::scan::cuda
