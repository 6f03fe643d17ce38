// What the products of decoding have in common: tiles of weights, and what becomes of their sums.
#pragma once

#include <climits>
#include <cstdint>

#include "ops/cuda/decode.h"
#include "ops/cuda/decode_gpu.cuh"
#include "ops/cuda/quick.cuh"

namespace mdnlab::ops::cuda {

// What all parts of a product have in common: store and convolve; swiglu; add; widen. A kernel of one kind
// has a third of the code.
enum class Kind { project, pair, add, widen, any };

template <Kind kKind>
__device__ RowsOutput output_of(const RowsPart& part) {
  switch (kKind) {
    case Kind::project: return part.output == RowsOutput::store ? RowsOutput::store : RowsOutput::convolve;
    case Kind::pair: return RowsOutput::swiglu;
    case Kind::add: return RowsOutput::add;
    case Kind::widen: return RowsOutput::widen;
    default: return part.output;
  }
}

// Where somebody is in a ring of slots.
struct InRing {
  int slot = 0;
  unsigned parity = 0;

  __device__ void advance(int slots, int by = 1) {
    slot += by;
    while (slot >= slots) slot -= slots, parity ^= 1;  // an if takes registers that others then lack
  }
};

struct Place {
  int part, first;  // row of the part's weight
};

// Tiles of so many rows of a part's weight, the parts' one after the other.
struct Tiling {
  int tile, tiles;
  int first[kMostParts];     // tile of each part; INT_MAX behind the last part
  bool is_even[kMostParts];  // four outputs side by side lie at even places
  int inverse[2];            // 2^20 over a tile's rows, and over a fourth of these

  __device__ Place place(int of_all) const {
    int part = 0;
#pragma unroll
    for (int i = 1; i < kMostParts; ++i) part += first[i] <= of_all;
    return {part, (of_all - first[part]) * tile};
  }
};

inline int count_tiles(const RowsProduct& in, int tile) {
  int tiles = 0;
  for (int part = 0; part < in.parts; ++part) tiles += (in.part[part].N + tile - 1) / tile;
  return tiles;
}
inline Tiling tiling_of(const RowsProduct& in, int tile) {
  Tiling tiling{.tile = tile, .tiles = count_tiles(in, tile), .first = {}, .is_even = {}, .inverse = {}};
  tiling.inverse[0] = (1 << 20) / tile + 1, tiling.inverse[1] = (1 << 20) / (tile < 4 ? 1 : tile / 4) + 1;
  int first = 0;
  for (int i = 0; i < kMostParts; ++i) {
    const RowsPart& part = in.part[i];
    tiling.first[i] = i < in.parts ? first : INT_MAX;
    if (i >= in.parts) continue;
    first += (part.N + tile - 1) / tile;
    tiling.is_even[i] = (part.N % 4 == 0 || (part.output == RowsOutput::widen && part.N < part.y_stride)) &&
                        part.y_stride % 4 == 0 && part.taps % 4 == 0 &&
                        reinterpret_cast<std::uintptr_t>(part.y) % 16 == 0;
  }
  return tiling;
}

__device__ inline float silu(float x) { return __fdividef(x, 1.f + __expf(-x)); }

// One number, or four side by side at even places.
template <int kCount, class T>
__device__ inline void fetch_numbers(float (&to)[kCount], const T* from) {
  if constexpr (kCount == 4) {
    const float4 x = fetch_early4(from);
    to[0] = x.x, to[1] = x.y, to[2] = x.z, to[3] = x.w;
  } else {
    to[0] = fetch_early(from);
  }
}
// Of shared memory.
template <int kCount>
__device__ inline void read_numbers(float (&to)[kCount], const float* from) {
  if constexpr (kCount == 4) {
    const float4 x = *reinterpret_cast<const float4*>(from);
    to[0] = x.x, to[1] = x.y, to[2] = x.z, to[3] = x.w;
  } else {
    to[0] = *from;
  }
}
template <int kCount>
__device__ inline void put_numbers(float* to, const float (&x)[kCount]) {
  if constexpr (kCount == 4) {
    *reinterpret_cast<float4*>(to) = make_float4(x[0], x[1], x[2], x[3]);
  } else {
    *to = x[0];
  }
}
template <int kCount>
__device__ inline void put_numbers(__nv_bfloat16* to, const float (&x)[kCount]) {
  if constexpr (kCount == 4) {
    const __nv_bfloat162 pairs[2] = {__floats2bfloat162_rn(x[0], x[1]), __floats2bfloat162_rn(x[2], x[3])};
    *reinterpret_cast<uint2*>(to) = *reinterpret_cast<const uint2*>(pairs);
  } else {
    *to = __float2bfloat16_rn(x[0]);
  }
}

// kCount outputs, side by side, of row r of x, from row n of the part's weight on: what they take beside
// their sums, and what becomes of these.
template <int kCount, Kind kKind>
struct Outputs {
  int n, r;
  bool is_there;                                                        // else nothing is fetched
  float taps[kTaps][kCount], bias[kCount], carried[kTaps - 1][kCount];  // none of which another kernel of
                                                                        // this step writes
  float before[kCount];                                                 // of add

  // Ahead of a wait.
  __device__ void fetch(const RowsPart& part) {
    if (!is_there) return;
    const RowsOutput output = output_of<kKind>(part);
    if (output == RowsOutput::store && part.bias) fetch_numbers<kCount>(bias, part.bias + n);
    if (output != RowsOutput::convolve || part.taps == 0) return;
#pragma unroll
    for (int i = 0; i < kTaps - 1; ++i)
      if (i < part.taps - 1) fetch_numbers<kCount>(carried[i], carried_at(part, i));
#pragma unroll
    for (int c = 0; c < kCount; ++c) {
      const float* const of_n = part.taps_NW + (n + c) * part.taps;
      if constexpr (kCount == 4) {  // all four taps
        float of_c[4];
        fetch_numbers<4>(of_c, of_n);
#pragma unroll
        for (int i = 0; i < kTaps; ++i) taps[i][c] = of_c[i];
      } else {
#pragma unroll
        for (int i = 0; i < kTaps; ++i)
          if (i < part.taps) taps[i][c] = fetch_early(of_n + i);
      }
    }
  }
  // Or only from memory to the cache.
  __device__ void prefetch_all(const RowsPart& part) const {
    if (!is_there || output_of<kKind>(part) != RowsOutput::convolve || part.taps == 0) return;
    for (int i = 0; i < part.taps - 1; ++i) prefetch(carried_at(part, i));
    prefetch(part.taps_NW + n * part.taps);
  }
  // Behind the wait.
  __device__ void fetch_before(const RowsPart& part) {
    if (!is_there || output_of<kKind>(part) != RowsOutput::add) return;
    const float* const from = static_cast<const float*>(part.y) + at(part);
    if constexpr (kCount == 4) {
      const float4 x = __ldcg(reinterpret_cast<const float4*>(from));
      before[0] = x.x, before[1] = x.y, before[2] = x.z, before[3] = x.w;
    } else {
      before[0] = __ldcg(from);
    }
  }

  // `up`: of swiglu.
  __device__ void write(const RowsPart& part, const float (&sum)[kCount], const float (&up)[kCount]) const {
    const RowsOutput output = output_of<kKind>(part);
    float y[kCount];
#pragma unroll
    for (int c = 0; c < kCount; ++c) y[c] = output == RowsOutput::widen ? sum[c] : rounded(sum[c]);
    if (output == RowsOutput::convolve && part.taps > 0) convolve(part, y);
#pragma unroll
    for (int c = 0; c < kCount; ++c) {
      if (output == RowsOutput::store && part.bias) y[c] += rounded(bias[c]);
      if (output == RowsOutput::convolve) y[c] = silu(y[c]);
      if (output == RowsOutput::swiglu) y[c] = silu(y[c]) * rounded(up[c]);
      if (output == RowsOutput::add) y[c] += before[c];
    }
    if (output == RowsOutput::store || output == RowsOutput::swiglu) {
      put_numbers<kCount>(static_cast<__nv_bfloat16*>(part.y) + at(part), y);
    } else {
      put_numbers<kCount>(static_cast<float*>(part.y) + at(part), y);
    }
  }

 private:
  __device__ std::int64_t at(const RowsPart& part) const { return r * part.y_stride + n; }
  __device__ __nv_bfloat16* carried_at(const RowsPart& part, int i) const {
    return part.carried_RWN + (static_cast<std::int64_t>(r) * (part.taps - 1) + i) * part.N + n;
  }
  __device__ void convolve(const RowsPart& part, float (&x)[kCount]) const {
    const int past = part.taps - 1;
    float sum[kCount] = {};
#pragma unroll
    for (int i = 0; i < kTaps; ++i) {
      if (i < past && i < kTaps - 1) {
        float next[kCount];
#pragma unroll
        for (int c = 0; c < kCount; ++c) {
          sum[c] += taps[i][c] * carried[i][c];
          next[c] = i + 1 < past ? carried[i + 1 < kTaps - 1 ? i + 1 : i][c] : x[c];
        }
        put_numbers<kCount>(carried_at(part, i), next);
      } else if (i == past) {
#pragma unroll
        for (int c = 0; c < kCount; ++c) sum[c] += taps[i][c] * x[c];
      }
    }
#pragma unroll
    for (int c = 0; c < kCount; ++c) x[c] = sum[c];
  }
};

// The outputs of a tile and some rows of x, those of kThreads threads: with kFours in fours where they lie at
// even places. What a thread's first ones take beside their sums is asked for ahead. `Sums` says what the
// sums are: template <int kCount> void get(float (&to)[kCount], int row, int column), of these rows and the
// tile, of swiglu of both weights; and what they are multiplied by: float scale(int row). At most 4,096
// outputs.
template <int kThreads, Kind kKind, bool kFours>
class TileOutputs {
 public:
  __device__ TileOutputs(const RowsProduct& in, const Tiling& tiling, const Place& at, int first_row,
                         int rows, int thread)
      : in_(in), tiling_(tiling), thread_(thread) {
    move_to(at, first_row, rows);
  }
  __device__ void move_to(const Place& at, int first_row, int rows) {
    at_ = at, first_row_ = first_row;
    is_even_ = kFours && tiling_.is_even[at.part];
    count_ = min(rows, in_.R - first_row) * (is_even_ ? tiling_.tile / 4 : tiling_.tile);
  }

  __device__ void fetch() {
    // Both have a value: a register without one is kept all along.
    if constexpr (kFours) four_ = outputs<4>(thread_);
    one_ = outputs<1>(thread_);
    if constexpr (kFours)
      if (is_even_) return fetch_first(four_);
    fetch_first(one_);
  }
  __device__ void fetch_before() {
    if constexpr (kFours)
      if (is_even_) return four_.fetch_before(part());
    one_.fetch_before(part());
  }
  template <class Sums>
  __device__ void write(const Sums& sums) const {
    if constexpr (kFours)
      if (is_even_) return write_all(four_, sums);
    write_all(one_, sums);
  }

 private:
  template <int kCount>
  using Some = Outputs<kCount, kKind>;

  __device__ const RowsPart& part() const { return in_.part[at_.part]; }

  template <int kCount>
  __device__ Some<kCount> outputs(int i) const {
    Some<kCount> of;
    const int row = i * tiling_.inverse[kCount == 4] >> 20, columns = tiling_.tile / kCount;
    of.n = at_.first + (i - row * columns) * kCount, of.r = first_row_ + row;
    of.is_there = (i < count_) & (of.n < part().N);
    return of;
  }
  template <int kCount>
  __device__ void fetch_first(Some<kCount>& first) {
    first.fetch(part());
#pragma unroll 1
    for (int i = thread_ + kThreads; i < count_; i += kThreads) outputs<kCount>(i).prefetch_all(part());
  }
  template <int kCount, class Sums>
  __device__ void write_all(Some<kCount> of, const Sums& sums) const {
#pragma unroll 1
    for (int i = thread_;;) {
      if (of.is_there) {
        float sum[kCount], up[kCount] = {};
        const int row = of.r - first_row_, column = of.n - at_.first;
        sums.get(sum, row, column);
        if (output_of<kKind>(part()) == RowsOutput::swiglu) sums.get(up, row, tiling_.tile + column);
        const float scale = sums.scale(row);
#pragma unroll
        for (int c = 0; c < kCount; ++c) sum[c] *= scale, up[c] *= scale;
        of.write(part(), sum, up);
      }
      i += kThreads;
      if (i >= count_) return;
      of = outputs<kCount>(i);
      of.fetch(part());
      of.fetch_before(part());
    }
  }

  const RowsProduct& in_;
  const Tiling& tiling_;
  Place at_;
  int thread_, first_row_;
  bool is_even_;
  int count_;
  Some<4> four_;
  Some<1> one_;
};

}  // namespace mdnlab::ops::cuda
