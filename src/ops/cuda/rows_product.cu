// y = xWᵀ for a few rows x, one a sequence: bound by the bytes of W, and where these are few by what waits
// for what.
//
// A block has some rows of W, 16 to a warp, and as many rows of x as there are; warps, and with many rows of
// x the blocks of a cluster, share out K in blocks of 32. W comes from memory into registers, all that a
// block first needs before it waits for x; x lies in shared memory, normed where it is to be. Tensor cores
// multiply with W as their first operand, so that the rows of x are its columns. They add up over k in
// whatever order k is named, so each thread takes eight k that lie side by side, of W and of x alike, for two
// products of 16.
#include <cooperative_groups.h>
#include <cuda_pipeline_primitives.h>

#include <cstdint>

#include "ops/cuda/decode.h"
#include "ops/cuda/early.cuh"

namespace mdnlab::ops::cuda {

namespace {

namespace cg = cooperative_groups;

constexpr int kBlock = 32;      // of K
constexpr int kPad = 32;        // numbers behind a row of x, so that eight rows meet all banks
constexpr int kMostShares = 8;  // of K: blocks of a cluster

__device__ float rounded(float x) { return __bfloat162float(__float2bfloat16_rn(x)); }
__device__ float silu(float x) { return x / (1.f + __expf(-x)); }

// Ahead of the wait: what no kernel of this step writes but this one. (Never as .nc: the assembler moves such
// loads behind the wait, where they would rather not wait for registers.)
__device__ uint4 fetch_once(const __nv_bfloat16* p) {
  uint4 value;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(p));
  return value;
}
__device__ float fetch_early(const float* p) {
  float value;
  asm volatile("ld.global.f32 %0, [%1];" : "=f"(value) : "l"(p));
  return value;
}
__device__ float4 fetch_early4(const float* p) {
  float4 x;
  asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
               : "l"(p));
  return x;
}
__device__ float fetch_early(const __nv_bfloat16* p) {
  unsigned short value;
  asm volatile("ld.global.u16 %0, [%1];" : "=h"(value) : "l"(p));
  return __uint_as_float(static_cast<unsigned>(value) << 16);
}

// d += a·b, 16×16 by 16×8.
__device__ void multiply(float (&d)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                         unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// What all parts of a product have in common. A kernel of one kind is small: what it costs to fetch its code
// counts here.
enum class Kind { project, pair, add, widen };  // store and convolve; swiglu; add; widen

struct Place {
  int part, first;  // row of the part's weight
};

// How a block is made up: kGroups warps beside each other have rows of W of their own, kShares behind each
// other a share of K, in which each fetches kDepth blocks at a time. A group has 16 rows, or with kIsHalf 8,
// so that a narrow product is enough blocks. kColumns·8 rows of x.
template <Kind kKind, int kGroups, int kShares, int kDepth, int kColumns, bool kIsHalf = false>
struct Rows {
  static constexpr bool kIsPair = kKind == Kind::pair;
  static constexpr int kWarps = kGroups * kShares, kThreads = 32 * kWarps;
  static constexpr int kOfGroup = kIsHalf ? 8 : 16, kTile = kGroups * kOfGroup;
  static constexpr int kRound = kShares * kDepth * kBlock;  // of K
  static constexpr int kRows = 8 * kColumns;                // of x
  static constexpr int kSumStride = kRows + (kColumns > 1 ? 2 : 0);
  static constexpr bool kIsAlone = kColumns == 1;  // few rows of x, and K is not shared out to other blocks

  const RowsProduct& in;
  const int warp = threadIdx.x / 32, group = warp / kShares, share = warp % kShares, lane = threadIdx.x % 32,
            row = lane / 4, eight = lane % 4 * 8;
  const int first_x = blockIdx.y * kRows, rows_of_x = min(kRows, in.R - first_x);
  const int rank = kIsAlone ? 0 : static_cast<int>(blockIdx.x) % in.shares;
  const int first_block = rank * in.blocks_of_share,
            blocks = min(in.blocks_of_share, in.K / kBlock - first_block);
  const int width = min(in.blocks_of_share * kBlock, kRound), x_stride = width + kPad;
  __nv_bfloat16* const s_x;  // [kRows][x_stride]
  float* const s_sums;       // [kShares][kTile][kSumStride]
  uint4 w[kDepth][kIsHalf ? 1 : 2];

  static int bytes(int blocks_of_share) {
    const int K = blocks_of_share * kBlock, width = K < kRound ? K : kRound;
    return kRows * (width + kPad) * 2 + kShares * kTile * kSumStride * 4;
  }
  static constexpr int kTileRows = kIsPair ? kTile / 2 : kTile;  // of the weight
  __host__ __device__ static constexpr int tiles_of(const RowsPart& part) {
    return (part.N + kTileRows - 1) / kTileRows;
  }

  __device__ Rows(const RowsProduct& problem, unsigned char* shared)
      : in(problem),
        s_x(reinterpret_cast<__nv_bfloat16*>(shared)),
        s_sums(reinterpret_cast<float*>(shared + kRows * x_stride * 2)) {}

  // Zeros: rows of the tile that x does not have, and what is read instead of blocks past K's end, the pad.
  __device__ void clear_missing_x() {
    const int eights = x_stride / 8;
#pragma unroll 1
    for (int i = rows_of_x * eights + static_cast<int>(threadIdx.x); i < kRows * eights; i += kThreads)
      reinterpret_cast<uint4*>(s_x)[i] = make_uint4(0, 0, 0, 0);
#pragma unroll 1
    for (int i = threadIdx.x; i < rows_of_x * kPad / 8; i += kThreads)
      reinterpret_cast<uint4*>(s_x + i / (kPad / 8) * x_stride + width)[i % (kPad / 8)] =
          make_uint4(0, 0, 0, 0);
  }

  __device__ Place place(int tile) const {
    int part = 0;
#pragma unroll 1
    for (; tile >= tiles_of(in.part[part]); ++part) tile -= tiles_of(in.part[part]);
    return {part, tile * kTileRows};
  }

  // Rows past the weight's last are read as the last, and not written; blocks past K's end likewise, and
  // count nothing. A condition on a load would be a branch of its own for each. Of swiglu a group has eight
  // rows of either weight.
  __device__ void fetch(const Place& at, int round) {
    const RowsPart& part = in.part[at.part];
    const auto line = [&](const __nv_bfloat16* weight, int n) {
      return weight + static_cast<std::int64_t>(min(n, part.N - 1)) * in.K + eight;
    };
    const int n = at.first + group * (kIsPair ? 8 : kOfGroup) + row;
    const __nv_bfloat16* const upper = line(part.weight, n);
    const __nv_bfloat16* const lower = kIsPair ? line(part.up, n) : line(part.weight, n + 8);
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      const int block = first_block + (round * kDepth + i) * kShares + share,
                k = min(block, in.K / kBlock - 1) * kBlock;
      w[i][0] = fetch_once(upper + k);
      if constexpr (!kIsHalf) w[i][1] = fetch_once(lower + k);
    }
  }

  // What outputs take beside their sums: of the row of the weight the taps or a bias, and of the row of x too
  // the past inputs of a convolution, which nothing else of this step writes, and what is added to.
  struct OfWeight {
    float taps[kTaps], bias;
  };
  struct OfBoth {
    float carried[kTaps - 1], before;
  };
  __device__ OfWeight fetch_of_weight(const RowsPart& part, int n) const {
    OfWeight of{};
    if constexpr (kKind != Kind::project) return of;
    if (part.bias) of.bias = fetch_early(part.bias + n);
    if (part.output != RowsOutput::convolve) return of;
#pragma unroll
    for (int i = 0; i < kTaps; ++i)
      if (i < part.taps) of.taps[i] = fetch_early(part.taps_NW + n * part.taps + i);
    return of;
  }
  __device__ void fetch_carried(const RowsPart& part, int n, std::int64_t r, OfBoth& of) const {
    if (kKind != Kind::project || part.output != RowsOutput::convolve) return;
    const __nv_bfloat16* const from = part.carried_RWN + r * (part.taps - 1) * part.N + n;
#pragma unroll
    for (int i = 0; i < kTaps - 1; ++i)
      if (i < part.taps - 1) of.carried[i] = fetch_early(from + i * part.N);
  }
  __device__ void fetch_before(const RowsPart& part, int n, std::int64_t r, OfBoth& of) const {
    if constexpr (kKind == Kind::add) of.before = static_cast<const float*>(part.y)[r * part.y_stride + n];
  }

  // Rows of x by their norm, eight numbers a thread. With 8·kThreads numbers a row or fewer its weight is
  // ahead.
  struct NormWeight {
    float4 half[2];
  };
  __device__ NormWeight fetch_norm() const {
    NormWeight weight{};
    if (!in.normed_RK || 8 * threadIdx.x >= in.K) return weight;
    weight.half[0] = fetch_early4(in.norm_weight_K + 8 * threadIdx.x);
    weight.half[1] = fetch_early4(in.norm_weight_K + 8 * threadIdx.x + 4);
    return weight;
  }
  __device__ void stage_normed(const NormWeight& weight) {
    float* const s_parts = s_sums;  // [kRows][kWarps]
    const bool is_inside = 8 * threadIdx.x < in.K;
    const auto read = [&](int r, int half) {
      return *reinterpret_cast<const float4*>(in.normed_RK + static_cast<std::int64_t>(first_x + r) * in.K +
                                              8 * threadIdx.x + 4 * half);
    };
#pragma unroll 2
    for (int r = 0; r < rows_of_x; ++r) {
      float sum = 0;
      if (is_inside) {
        const float4 a = read(r, 0), b = read(r, 1);
        sum = a.x * a.x + a.y * a.y + a.z * a.z + a.w * a.w + b.x * b.x + b.y * b.y + b.z * b.z + b.w * b.w;
      }
      for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
      if (lane == 0) s_parts[r * kWarps + warp] = sum;
    }
    __syncthreads();
#pragma unroll 2
    for (int r = 0; r < rows_of_x && is_inside; ++r) {
      float sum = 0;
#pragma unroll
      for (int other = 0; other < kWarps; ++other) sum += s_parts[r * kWarps + other];
      const float scale = rsqrtf(sum / static_cast<float>(in.K) + in.eps);
      __nv_bfloat162 pairs[4];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float4 x = read(r, half), by = weight.half[half];
        pairs[2 * half] = __floats2bfloat162_rn(x.x * scale * by.x, x.y * scale * by.y);
        pairs[2 * half + 1] = __floats2bfloat162_rn(x.z * scale * by.z, x.w * scale * by.w);
      }
      *reinterpret_cast<uint4*>(s_x + r * x_stride + 8 * threadIdx.x) =
          *reinterpret_cast<const uint4*>(pairs);
    }
    __syncthreads();
  }

  // A round's part of x. Rows of the tile that x does not have are zeros in the products.
  __device__ void stage(const RowsPart& part, int round) {
    const int first = first_block * kBlock + round * kRound,
              eights = min(kRound, blocks * kBlock - round * kRound) / 8;
    const int lanes = kIsAlone ? kThreads : 32;  // side by side in a row
    for (int r = kIsAlone ? 0 : warp; r < rows_of_x; r += kIsAlone ? 1 : kWarps) {
      const __nv_bfloat16* const from = part.x + static_cast<std::int64_t>(first_x + r) * in.K + first;
#pragma unroll 2
      for (int i = threadIdx.x % lanes; i < eights; i += lanes)
        __pipeline_memcpy_async(s_x + r * x_stride + 8 * i, from + 8 * i, 16);
    }
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
  }

  // sums_{n,r} += Σ_k W_{n,k} x_{r,k} over the warp's blocks of the round.
  __device__ void multiply_round(float (&sums)[kColumns][4], int round) const {
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      const int block = i * kShares + share;
      const bool is_there = round * kDepth * kShares + block < blocks;
      const int k = (is_there ? block * kBlock : width) + eight;
      const uint4 upper = w[i][0], lower = kIsHalf ? make_uint4(0, 0, 0, 0) : w[i][kIsHalf ? 0 : 1];
#pragma unroll
      for (int column = 0; column < kColumns; ++column) {
        const uint4 x = *reinterpret_cast<const uint4*>(s_x + (8 * column + row) * x_stride + k);
        multiply(sums[column], upper.x, lower.x, upper.y, lower.y, x.x, x.y);
        multiply(sums[column], upper.z, lower.z, upper.w, lower.w, x.z, x.w);
      }
    }
  }

  // Outputs of a tile that this block writes: rows of the weight, `mine` of them, from `first` on.
  struct Outputs {
    int first, mine;
  };
  __device__ Outputs outputs() const {
    const int mine = kTileRows / (kIsAlone ? 1 : in.shares);
    return {rank * mine, mine};
  }

  // Each warp's sums to the block that adds them up, as [plane][its rows][rows of x]: a plane a share of K.
  // Of swiglu the rows of the gate come first.
  __device__ void share_out(const float (&sums)[kColumns][4]) {
    const int shares = kIsAlone ? 1 : in.shares, rows = kTile / shares, mine = outputs().mine;
    if (shares > 1) cg::this_cluster().barrier_wait();  // all blocks are there
#pragma unroll
    for (int half = 0; half < (kIsHalf ? 1 : 2); ++half) {
      const int n = kIsPair ? 8 * group + row : kOfGroup * group + 8 * half + row;
      const int plane = rank * kShares + share, of_block = n % mine + (kIsPair ? half * mine : 0);
      float* const here = s_sums + (plane * rows + of_block) * kSumStride + lane % 4 * 2;
      float* const there = shares > 1 ? cg::this_cluster().map_shared_rank(here, n / mine) : here;
#pragma unroll
      for (int column = 0; column < kColumns; ++column)
        *reinterpret_cast<float2*>(there + 8 * column) =
            make_float2(sums[column][2 * half], sums[column][2 * half + 1]);
    }
    if (shares > 1) {
      cg::this_cluster().sync();
    } else {
      __syncthreads();
    }
  }

  // Of the block's n-th row and row r of x.
  __device__ float sum_of(int n, int r) const {
    const int shares = kIsAlone ? 1 : in.shares, rows = kTile / shares;
    float sum = 0;
#pragma unroll 2
    for (int other = 0; other < shares; ++other) {
#pragma unroll
      for (int of_block = 0; of_block < kShares; ++of_block)
        sum += s_sums[((other * kShares + of_block) * rows + n) * kSumStride + r];
    }
    return sum;
  }

  __device__ static float convolved(const RowsPart& part, int n, std::int64_t r, float x,
                                    const OfWeight& weight, const OfBoth& both) {
    const int past = part.taps - 1;
    __nv_bfloat16* const carried = part.carried_RWN + r * past * part.N + n;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kTaps; ++i) {
      if (i < past && i < kTaps - 1) {
        sum += weight.taps[i] * both.carried[i];
        carried[i * part.N] =
            __float2bfloat16_rn(i + 1 < past ? both.carried[i + 1 < kTaps - 1 ? i + 1 : i] : x);
      } else if (i == past) {
        sum += weight.taps[i] * x;
      }
    }
    return silu(sum);
  }

  __device__ void write_one(const RowsPart& part, int n, std::int64_t r, float sum, float up,
                            const OfWeight& weight, const OfBoth& both) const {
    const std::int64_t to = r * part.y_stride + n;
    const float y = rounded(sum);
    const auto half = [&](float value) {
      static_cast<__nv_bfloat16*>(part.y)[to] = __float2bfloat16_rn(value);
    };
    const auto whole = [&](float value) { static_cast<float*>(part.y)[to] = value; };
    if constexpr (kIsPair) {
      half(silu(y) * rounded(up));
    } else if constexpr (kKind == Kind::add) {
      whole(both.before + y);
    } else if constexpr (kKind == Kind::widen) {
      whole(sum);
    } else if (part.output == RowsOutput::store) {
      half(part.bias ? y + rounded(weight.bias) : y);
    } else {
      whole(part.taps > 0 ? convolved(part, n, r, y, weight, both) : silu(y));
    }
  }

  // A thread has one row of the weight and several of x, a few at a time, so that what they wait for comes at
  // once. With kIsAhead it has one of either, and what they take is there.
  template <bool kIsAhead>
  __device__ void write(const Place& at, OfWeight weight, const OfBoth& ahead) const {
    constexpr int kAtOnce = kIsAhead ? 1 : 2;
    const RowsPart& part = in.part[at.part];
    const auto [first, mine] = outputs();
    const int of_block = static_cast<int>(threadIdx.x) % mine, n = at.first + first + of_block,
              beside = kThreads / mine;
    if (n >= part.N) return;
    if (!kIsAhead) weight = fetch_of_weight(part, n);
#pragma unroll 1
    for (int begin = static_cast<int>(threadIdx.x) / mine; begin < rows_of_x; begin += kAtOnce * beside) {
      OfBoth both[kAtOnce];
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const int r = begin + j * beside;
        if (kIsAhead) both[j] = ahead;
        if (kIsAhead || r >= rows_of_x) continue;
        fetch_carried(part, n, first_x + r, both[j]);
        fetch_before(part, n, first_x + r, both[j]);
      }
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const int r = begin + j * beside;
        if (r >= rows_of_x) continue;
        const float up = kIsPair ? sum_of(mine + of_block, r) : 0;
        write_one(part, n, first_x + r, sum_of(of_block, r), up, weight, both[j]);
      }
    }
  }
};

// With kGoesOn a block takes tile after tile, and fetches the next one's weights before it writes what it
// has. With kHasRounds K is more than a block holds at a time.
template <class Of, bool kGoesOn, bool kHasRounds, int kBlocks>
__global__ void __launch_bounds__(Of::kThreads, kHasRounds ? 1 : kBlocks)
    rows_kernel(const __grid_constant__ RowsProduct in) {
  extern __shared__ uint4 shared_memory[];
  constexpr bool kIsAhead = Of::kIsAlone && !kGoesOn;
  let_next_start();
  // Sums may come. Before any load: the barrier waits for those in front of it.
  if (!Of::kIsAlone && in.shares > 1) cg::this_cluster().barrier_arrive();
  Of of(in, reinterpret_cast<unsigned char*>(shared_memory));
  int tile = static_cast<int>(blockIdx.x) / (Of::kIsAlone ? 1 : in.shares);
  Place at = of.place(tile);
  of.fetch(at, 0);
  const RowsPart& begun = in.part[at.part];
  typename Of::OfWeight of_weight{};
  typename Of::OfBoth of_both{};
  const int n = at.first + static_cast<int>(threadIdx.x) % Of::kTileRows,
            r = of.first_x + static_cast<int>(threadIdx.x) / Of::kTileRows;
  const bool has_output = kIsAhead && n < begun.N && r < of.first_x + of.rows_of_x;
  if (has_output) {
    of_weight = of.fetch_of_weight(begun, n);
    of.fetch_carried(begun, n, r, of_both);
  }
  of.clear_missing_x();
  typename Of::NormWeight norm_weight{};
  if constexpr (Of::kIsAlone) norm_weight = of.fetch_norm();
  wait_for_previous();
  if (has_output) of.fetch_before(begun, n, r, of_both);
  if (Of::kIsAlone && in.normed_RK) {
    of.stage_normed(norm_weight);
  } else {
    of.stage(begun, 0);
  }
  while (true) {
    float sums[Of::kRows / 8][4] = {};
    of.multiply_round(sums, 0);
    if constexpr (kHasRounds) {
#pragma unroll 1
      for (int round = 1; round * Of::kRound < in.blocks_of_share * kBlock; ++round) {
        of.fetch(at, round);
        __syncthreads();  // all have read what lies there
        of.stage(in.part[at.part], round);
        of.multiply_round(sums, round);
      }
    }
    if constexpr (!kGoesOn) {
      of.share_out(sums);
      of.template write<kIsAhead>(at, of_weight, of_both);
      return;
    }
    tile += static_cast<int>(gridDim.x);
    const bool ends = tile >= in.tiles;
    const Place next = ends ? at : of.place(tile);
    if (!ends) of.fetch(next, 0);
    of.share_out(sums);
    of.template write<kIsAhead>(at, of_weight, of_both);
    if (ends) return;
    __syncthreads();  // the sums have been read
    if (kHasRounds || in.part[next.part].x != in.part[at.part].x) of.stage(in.part[next.part], 0);
    at = next;
  }
}

template <class Of>
int count_tiles(const RowsProduct& in) {
  int tiles = 0;
  for (int part = 0; part < in.parts; ++part) tiles += Of::tiles_of(in.part[part]);
  return tiles;
}

template <class Of, bool kGoesOn, int kBlocks>
cudaError_t launch(RowsProduct in, int shares, int most_blocks, cudaStream_t stream) {
  const int blocks = in.K / kBlock;
  in.tiles = count_tiles<Of>(in);
  in.shares = shares;
  in.blocks_of_share = (blocks + shares - 1) / shares;
  const auto kernel = in.blocks_of_share * kBlock > Of::kRound ? rows_kernel<Of, kGoesOn, true, kBlocks>
                                                               : rows_kernel<Of, kGoesOn, false, kBlocks>;
  const int grid = in.tiles * shares < most_blocks ? in.tiles * shares : most_blocks;
  const int rows = (in.R + Of::kRows - 1) / Of::kRows;
  return launch_early(kernel, in, dim3(static_cast<unsigned>(grid), static_cast<unsigned>(rows)),
                      Of::kThreads, Of::bytes(in.blocks_of_share), shares, stream);
}

constexpr int kAny = 1 << 30;

template <Kind kKind>
cudaError_t few_rows(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  using Whole = Rows<kKind, 1, 8, 4, 1>;
  const int tiles = count_tiles<Whole>(in);
  if constexpr (kKind != Kind::pair) {
    if (tiles < multiprocessors) {
      return in.K <= 1536 ? launch<Rows<kKind, 1, 8, 6, 1, true>, false, 3>(in, 1, kAny, stream)
                          : launch<Rows<kKind, 1, 8, 12, 1, true>, false, 2>(in, 1, kAny, stream);
    }
  }
  if (in.K > 1024) return launch<Rows<kKind, 1, 8, 8, 1>, false, 2>(in, 1, kAny, stream);
  return tiles > 4 * multiprocessors ? launch<Whole, true, 2>(in, 1, 2 * multiprocessors, stream)
                                     : launch<Whole, false, 3>(in, 1, kAny, stream);
}

// As many shares of K as make a block for each place on the GPU, two a multiprocessor.
template <Kind kKind, int kColumns>
cudaError_t many_rows(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  using Of = Rows<kKind, 4, 2, 8, kColumns>;
  const int tiles = count_tiles<Of>(in);
  int shares = 1;
  while (shares < kMostShares && 2 * shares * tiles <= 2 * multiprocessors && in.K / kBlock >= 4 * shares)
    shares *= 2;
  return launch<Of, false, 2>(in, shares, kAny, stream);
}

template <Kind kKind>
cudaError_t run(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  if (in.R <= 8) return few_rows<kKind>(in, multiprocessors, stream);
  if (in.R <= 32) return many_rows<kKind, 4>(in, multiprocessors, stream);
  return many_rows<kKind, 8>(in, multiprocessors, stream);
}

}  // namespace

cudaError_t rows_product(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  switch (in.part[0].output) {
    case RowsOutput::swiglu: return run<Kind::pair>(in, multiprocessors, stream);
    case RowsOutput::add: return run<Kind::add>(in, multiprocessors, stream);
    case RowsOutput::widen: return run<Kind::widen>(in, multiprocessors, stream);
    default: return run<Kind::project>(in, multiprocessors, stream);
  }
}

}  // namespace mdnlab::ops::cuda
