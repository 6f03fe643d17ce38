// A product of few rows as one operation of a program (token.cu).
//
// The rows of its weights, in eights, are shared out to the blocks of the grid, and K to the warps of a
// block, in blocks of 32. A block takes as many of its eights at a time as its registers hold; the first ones
// are fetched while the operation in front still runs. Of swiglu an eight is one of either weight.
#pragma once

#include <type_traits>

#include "ops/cuda/mixer.cuh"
#include "ops/cuda/rows.cuh"

namespace mdnlab::ops::cuda {

inline constexpr int kProgramThreads = 256, kProgramWarps = kProgramThreads / 32;
inline constexpr int kFetched = 24;  // 16 bytes of weights each thread has ahead
inline constexpr int kAtOnce = 6;    // eights, at most

// kPairs·2 eights at a time, of kBlocks blocks of K each warp.
template <int kPairsAtOnce, int kBlocksOfWarp>
struct Shape {
  static constexpr int kPairs = kPairsAtOnce, kBlocks = kBlocksOfWarp, kEights = 2 * kPairs,
                       kRound = kBlocks * kProgramWarps;  // blocks of K at a time
  static_assert(kEights * kBlocks <= kFetched && kEights <= kAtOnce);
};
template <class Do>
__device__ void with_shape(int K, const Do& act) {
  if (K <= 1024) {
    act(Shape<3, 4>{});
  } else if (K <= 2048) {
    act(Shape<1, 8>{});
  } else {
    act(Shape<1, 12>{});
  }
}

struct ProductShared {
  float sums[2][kProgramWarps][8 * kAtOnce][kMostOfProgram];
  float squares[4][kWidest / 32];
};

struct Place {
  int part, n;  // row of the part's weight
};
__device__ inline Place place_of(const RowsProduct& in, int eight) {
  int part = in.parts - 1;
#pragma unroll 1
  while (in.part[part].first > eight) --part;
  return {part, 8 * (eight - in.part[part].first)};
}

__device__ inline bool is_pair(const RowsProduct& in) { return in.part[0].output == RowsOutput::swiglu; }

// Of the eights of a product's weights: those of this block.
struct Eights {
  int begin, end;
};
__device__ inline Eights eights_of_block(const RowsProduct& in) {
  const auto until = [&](unsigned block) {
    return static_cast<int>(static_cast<long long>(block) * in.eights / gridDim.x);
  };
  return {until(blockIdx.x), until(blockIdx.x + 1)};
}

// How many from `first` on are taken at once: of one x.
__device__ inline int count_at_once(const RowsProduct& in, int first, int end) {
  const int eights = in.K <= Shape<3, 4>::kRound * kBlock ? 6 : 2, most = is_pair(in) ? eights / 2 : eights,
            last = min(first + most, end);
  if (in.norm.x_RK || in.parts == 1) return last - first;
  const __nv_bfloat16* const x = in.part[place_of(in, first).part].x;
  int count = 1;
#pragma unroll 1
  while (first + count < last && in.part[place_of(in, first + count).part].x == x) ++count;
  return count;
}

// A thread's j-th output of `count` eights.
struct OutputPlace {
  int of_eights, part, n, r;  // n < 0: none

  OutputPlace() = default;
  __device__ OutputPlace(const RowsProduct& in, int first, int count, int j) {
    const int rows = 8 * count, i = static_cast<int>(threadIdx.x) + j * kProgramThreads;
    of_eights = i % rows, r = i / rows, n = -1;
    if (r >= in.R) return;
    const Place at = place_of(in, first + of_eights / 8);
    part = at.part;
    if (at.n + of_eights % 8 < in.part[part].N) n = at.n + of_eights % 8;
  }
};

// Some of a block's eights, what a thread asks for of them ahead, and where it goes.
struct Fetched {
  int first, count, part;  // count 0: none; of the first, whose x all have
  OutputPlace at;          // the thread's first output
  Beside beside;           // of it
  uint4 w[kFetched];
};

// Asks for the weights of `count` eights from `first` on over the round-th part of K.
template <class Of>
__device__ void fetch_weights(const RowsProduct& in, int first, int count, int round, Fetched& fetched) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = lane / 4;
  const bool pairs = is_pair(in);
  unsigned long long of_lane = 0;
  int rows_of_lane = 0;
  if (const int i = pairs ? lane / 2 : lane; lane < Of::kEights && i < count) {
    const Place at = place_of(in, first + i);
    const RowsPart& part = in.part[at.part];
    of_lane = reinterpret_cast<unsigned long long>((pairs && lane % 2 ? part.up : part.weight) +
                                                   static_cast<long long>(at.n) * in.K);
    rows_of_lane = part.N - at.n;
  }
#pragma unroll
  for (int i = 0; i < Of::kEights; ++i) {
    const auto from = reinterpret_cast<const __nv_bfloat16*>(__shfl_sync(0xffffffffu, of_lane, i));
    const int rows =
        __shfl_sync(0xffffffffu, rows_of_lane, i);  // past the last: read as the last, not written
    const __nv_bfloat16* const line = from + static_cast<long long>(min(row, rows - 1)) * in.K + lane % 4 * 8;
#pragma unroll
    for (int j = 0; j < Of::kBlocks; ++j) {
      const int block =
          round * Of::kRound + j * kProgramWarps + warp;  // past K's end: read, and counts nothing
      uint4& w = fetched.w[i * Of::kBlocks + j];
      w = make_uint4(0, 0, 0, 0);
      if (rows > 0) w = fetch_once(line + min(block, in.K / kBlock - 1) * kBlock);
    }
  }
}

// The eights from `first` on, as many as are taken at once.
__device__ inline void fetch(const RowsProduct& in, int first, int end, Fetched& fetched) {
  fetched.first = first;
  fetched.count = first < end ? count_at_once(in, first, end) : 0;
  if (fetched.count == 0) return;
  with_shape(in.K, [&]<class Of>(Of) { fetch_weights<Of>(in, first, fetched.count, 0, fetched); });
  fetched.part = place_of(in, first).part;
  fetched.at = OutputPlace(in, first, fetched.count, 0);
  if (fetched.at.n < 0) return;
  const RowsPart& part = in.part[fetched.at.part];
  fetched.beside.fetch(part.output, part, fetched.at.n, fetched.at.r);
}

// Brings the weights of a block's eights as near as the second-level cache, of which they may take but a
// part.
inline constexpr int kNear = 2 * kAtOnce;
__device__ inline void announce(const RowsProduct& in, int first, int end) {
  const int of_weight = is_pair(in) ? 2 : 1, i = static_cast<int>(threadIdx.x) / of_weight;
  if (i >= min(end - first, kNear)) return;
  const Place at = place_of(in, first + i);
  const RowsPart& part = in.part[at.part];
  const __nv_bfloat16* const from = (static_cast<int>(threadIdx.x) % of_weight ? part.up : part.weight) +
                                    static_cast<long long>(at.n) * in.K;
  bring_near(from, 2 * in.K * min(8, part.N - at.n));
}

__device__ inline int x_stride(const RowsProduct& in) { return in.K + kPad; }

// Zeros behind each row: what is multiplied past K's end.
__device__ inline void clear_pad(const RowsProduct& in, __nv_bfloat16* s_x) {
  const int eights = kPad / 8, i = threadIdx.x;
  if (i < in.R * eights)
    reinterpret_cast<uint4*>(s_x + i / eights * x_stride(in) + in.K)[i % eights] = make_uint4(0, 0, 0, 0);
}

__device__ inline void stage(const RowsProduct& in, const __nv_bfloat16* x, __nv_bfloat16* s_x) {
  const int eights = in.K / 8;
  clear_pad(in, s_x);
#pragma unroll 1
  for (int r = 0; r < in.R; ++r) {
    const __nv_bfloat16* const from = x + static_cast<long long>(r) * in.K;
#pragma unroll 2
    for (int i = threadIdx.x; i < eights; i += kProgramThreads)
      copy_to_shared(s_x + r * x_stride(in) + 8 * i, from + 8 * i);
  }
  wait_for_copies();
  __syncthreads();
}

// Eight numbers of x a thread, four rows at a time; squares are summed by fours of threads, then by heads.
__device__ inline void stage_normed(const RowsProduct& in, __nv_bfloat16* s_x, ProductShared& shared) {
  constexpr int kRows = 4;
  const RowsNorm& norm = in.norm;
  const int fours = norm.width / 32;
  clear_pad(in, s_x);
  float x[kRows][8], weight[8];
  uint4 z[kRows];
  const auto two = [](const float4* from, float(&to)[8]) {
    const float4 a = __ldcg(from), b = __ldcg(from + 1);
    to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w, to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
  };
  const auto read = [&](int first, int c) {
    two(reinterpret_cast<const float4*>(norm.weight + c % norm.width), weight);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (first + i >= in.R) break;
      const long long at = static_cast<long long>(first + i) * in.K + c;
      two(reinterpret_cast<const float4*>(norm.x_RK + at), x[i]);
      if (norm.gate_RK) z[i] = __ldcg(reinterpret_cast<const uint4*>(norm.gate_RK + at));
    }
    if (!norm.is_of_heads) return;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int j = 0; j < 8; ++j) x[i][j] = rounded(x[i][j]);
    }
  };
  const auto write = [&](int r, int c, float scale, float(&y)[8], const uint4& gates) {
#pragma unroll
    for (int j = 0; j < 8; ++j) y[j] *= scale * weight[j];
    if (norm.gate_RK) {
      const unsigned pairs[4] = {gates.x, gates.y, gates.z, gates.w};
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float2 gate = halves_of(pairs[j]);
        y[2 * j] *= activated(norm.gate_is_silu, gate.x);
        y[2 * j + 1] *= activated(norm.gate_is_silu, gate.y);
      }
    }
    __nv_bfloat162 pairs[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) pairs[j] = __floats2bfloat162_rn(y[2 * j], y[2 * j + 1]);
    *reinterpret_cast<uint4*>(s_x + r * x_stride(in) + c) = *reinterpret_cast<const uint4*>(pairs);
  };
  const bool is_once = in.K <= 8 * kProgramThreads;  // what was read is still there when it is written
#pragma unroll 1
  for (int first = 0; first < in.R; first += kRows) {
    if (first > 0)
      __syncthreads();  // the squares have been read
                        // All lanes of a warp go on together.
#pragma unroll 1
    for (int c = 8 * static_cast<int>(threadIdx.x); c / 256 * 256 < in.K; c += 8 * kProgramThreads) {
      const bool is_inside = c < in.K;
      if (is_inside) read(first, c);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        if (first + i >= in.R) break;
        float sum = 0;
#pragma unroll
        for (int j = 0; j < 8; ++j) sum += x[i][j] * x[i][j];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (is_inside && threadIdx.x % 4 == 0) shared.squares[i][c / 32] = sum;
      }
    }
    __syncthreads();
#pragma unroll 1
    for (int c = 8 * static_cast<int>(threadIdx.x); c < in.K; c += 8 * kProgramThreads) {
      const int of_row = c / norm.width * fours;
      if (!is_once) read(first, c);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        if (first + i >= in.R) break;
        float sum = 0;
#pragma unroll 8
        for (int four = 0; four < fours; ++four) sum += shared.squares[i][of_row + four];
        const float scale = rsqrtf(__fdividef(sum, static_cast<float>(norm.width)) + norm.eps);
        write(first + i, c, scale, x[i], z[i]);
      }
    }
  }
  __syncthreads();
}

// Of all pairs that a block has at once, of 16 rows of W each.
using Sums = float[kAtOnce / 2][4];

// sums += W x over the round-th part of K.
template <class Of>
__device__ void multiply_fetched(const RowsProduct& in, const __nv_bfloat16* s_x, int round,
                                 const Fetched& fetched, Sums& sums) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const __nv_bfloat16* const line = s_x + lane / 4 * x_stride(in) + lane % 4 * 8;
#pragma unroll
  for (int j = 0; j < Of::kBlocks; ++j) {
    const int block = round * Of::kRound + j * kProgramWarps + warp;
    const uint4 x = *reinterpret_cast<const uint4*>(line + min(block * kBlock, in.K));
#pragma unroll
    for (int p = 0; p < Of::kPairs; ++p)
      multiply(sums[p], fetched.w[2 * p * Of::kBlocks + j], fetched.w[(2 * p + 1) * Of::kBlocks + j], x);
  }
}

// The products of `count` eights from `first` on, whose first weights are fetched.
__device__ inline void multiply_all(const RowsProduct& in, const __nv_bfloat16* s_x, int first, int count,
                                    Fetched& fetched, Sums& sums) {
  with_shape(in.K, [&]<class Of>(Of) {
    multiply_fetched<Of>(in, s_x, 0, fetched, sums);
    if constexpr (std::is_same_v<Of, Shape<1, 12>>) {
#pragma unroll 1
      for (int round = 1; round * Of::kRound * kBlock < in.K; ++round) {
        fetch_weights<Of>(in, first, count, round, fetched);
        multiply_fetched<Of>(in, s_x, round, fetched, sums);
      }
    }
  });
}

__device__ inline void put_sums(const Sums& sums, int eights, float (*s_sums)[8 * kAtOnce][kMostOfProgram]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (int i = 0; i < kAtOnce; ++i) {
    if (i < eights)
      *reinterpret_cast<float2*>(&s_sums[warp][8 * i + lane / 4][lane % 4 * 2]) =
          make_float2(sums[i / 2][i % 2 * 2], sums[i / 2][i % 2 * 2 + 1]);
  }
}

__device__ inline float sum_of(const float (*s_sums)[8 * kAtOnce][kMostOfProgram], int n, int r) {
  float sum = 0;
#pragma unroll
  for (int warp = 0; warp < kProgramWarps; ++warp) sum += s_sums[warp][n][r];
  return sum;
}

// What becomes of the sums of `count` eights from `first` on: two outputs a thread, at most.
__device__ inline void write_outputs(const RowsProduct& in, int first, int count, const OutputPlace& at,
                                     const Beside& beside, const Sums& sums,
                                     float (*s_sums)[8 * kAtOnce][kMostOfProgram]) {
  const bool pairs = is_pair(in);
  put_sums(sums, pairs ? 2 * count : count, s_sums);
  __syncthreads();
  const auto write = [&](const OutputPlace& to, const Beside& taken) {
    if (to.n < 0) return;
    const RowsPart& part = in.part[to.part];
    const int n = pairs ? to.of_eights / 8 * 16 + to.of_eights % 8 : to.of_eights;
    const float up = pairs ? sum_of(s_sums, n + 8, to.r) : 0;
    write_output(part.output, part, to.n, to.r, sum_of(s_sums, n, to.r), up, taken);
  };
  write(at, beside);
  if (8 * count * in.R <= kProgramThreads) return;
  const OutputPlace second(in, first, count, 1);
  if (second.n < 0) return;
  const RowsPart& part = in.part[second.part];
  Beside taken;
  taken.fetch(part.output, part, second.n, second.r);
  taken.fetch_before(part.output, part, second.n, second.r);
  write(second, taken);
}

}  // namespace mdnlab::ops::cuda
