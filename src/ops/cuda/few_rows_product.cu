// y = xWᵀ for at most eight rows x, one a sequence, with the norm in front of it: bound by the bytes of W,
// and where these are few by what waits for what.
//
// A block has 16 rows of W at a time, or eight, and all rows of x; its warps share out K, in blocks of 32. W
// comes from memory into registers, all that a block first needs before it waits for x; x lies in shared
// memory, normed where it is to be. Tensor cores multiply with W as their first operand, so that the rows of
// x are its columns.
#include "ops/cuda/rows.cuh"

namespace mdnlab::ops::cuda {

namespace {

// What all parts of a product have in common. A kernel of one kind is small: what it costs to fetch its code
// counts here.
enum class Kind { project, pair, add, widen };  // store and convolve; swiglu; add; widen

struct Place {
  int part, first;  // row of the part's weight
};

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr int kPad = 32;  // numbers behind a row of x in shared memory, so that eight rows meet all banks

// Each warp fetches kDepth blocks of its share of K at a time. With kIsHalf a tile has eight rows, so that a
// narrow product is enough blocks.
template <Kind kKind, int kDepth, bool kIsHalf = false>
struct Rows {
  static constexpr bool kIsPair = kKind == Kind::pair;
  static constexpr int kTile = kIsHalf ? 8 : 16;
  static constexpr int kRound = kWarps * kDepth * kBlock;  // of K

  const RowsProduct& in;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = lane / 4, eight = lane % 4 * 8;
  const int blocks = in.K / kBlock, width = min(in.K, kRound), x_stride = width + kPad;
  __nv_bfloat16* const s_x;  // [kFewRows][x_stride]
  float* const s_sums;       // [kWarps][kTile][kFewRows]
  uint4 w[kDepth][kIsHalf ? 1 : 2];

  static int bytes(int K) {
    return kFewRows * ((K < kRound ? K : kRound) + kPad) * 2 + kWarps * kTile * kFewRows * 4;
  }
  static constexpr int kTileRows = kIsPair ? kTile / 2 : kTile;  // of the weight
  __host__ __device__ static constexpr int tiles_of(const RowsPart& part) {
    return (part.N + kTileRows - 1) / kTileRows;
  }

  __device__ Rows(const RowsProduct& problem, unsigned char* shared)
      : in(problem),
        s_x(reinterpret_cast<__nv_bfloat16*>(shared)),
        s_sums(reinterpret_cast<float*>(shared + kFewRows * x_stride * 2)) {}

  // Zeros: rows of the tile that x does not have, and what is read instead of blocks past K's end, the pad.
  __device__ void clear_missing_x() {
    const int eights = x_stride / 8;
#pragma unroll 1
    for (int i = in.R * eights + static_cast<int>(threadIdx.x); i < kFewRows * eights; i += kThreads)
      reinterpret_cast<uint4*>(s_x)[i] = make_uint4(0, 0, 0, 0);
#pragma unroll 1
    for (int i = threadIdx.x; i < in.R * kPad / 8; i += kThreads)
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
  // count nothing. A condition on a load would be a branch of its own for each. Of swiglu a tile has eight
  // rows of either weight.
  __device__ void fetch(const Place& at, int round) {
    const RowsPart& part = in.part[at.part];
    const auto line = [&](const __nv_bfloat16* weight, int n) {
      return weight + static_cast<std::int64_t>(min(n, part.N - 1)) * in.K + eight;
    };
    const int n = at.first + row;
    const __nv_bfloat16* const upper = line(part.weight, n);
    const __nv_bfloat16* const lower = kIsPair ? line(part.up, n) : line(part.weight, n + 8);
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      const int block = (round * kDepth + i) * kWarps + warp, k = min(block, in.K / kBlock - 1) * kBlock;
      w[i][0] = fetch_once(upper + k);
      if constexpr (!kIsHalf) w[i][1] = fetch_once(lower + k);
    }
  }

  // Rows of x by their norm, eight numbers a thread. With 8·kThreads numbers a row or fewer its weight is
  // ahead.
  struct NormWeight {
    float4 half[2];
  };
  __device__ NormWeight fetch_norm() const {
    NormWeight weight{};
    if (!in.norm.x_RK || 8 * threadIdx.x >= in.K) return weight;
    weight.half[0] = fetch_early4(in.norm.weight + 8 * threadIdx.x);
    weight.half[1] = fetch_early4(in.norm.weight + 8 * threadIdx.x + 4);
    return weight;
  }
  __device__ void stage_normed(const NormWeight& weight) {
    float* const s_parts = s_sums;  // [kFewRows][kWarps]
    const bool is_inside = 8 * threadIdx.x < in.K;
    const auto read = [&](int r, int half) {
      return *reinterpret_cast<const float4*>(in.norm.x_RK + static_cast<std::int64_t>(r) * in.K +
                                              8 * threadIdx.x + 4 * half);
    };
#pragma unroll 2
    for (int r = 0; r < in.R; ++r) {
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
    for (int r = 0; r < in.R && is_inside; ++r) {
      float sum = 0;
#pragma unroll
      for (int other = 0; other < kWarps; ++other) sum += s_parts[r * kWarps + other];
      const float scale = rsqrtf(sum / static_cast<float>(in.K) + in.norm.eps);
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
    const int first = round * kRound, eights = min(kRound, in.K - first) / 8;
    for (int r = 0; r < in.R; ++r) {
      const __nv_bfloat16* const from = part.x + static_cast<std::int64_t>(r) * in.K + first;
#pragma unroll 2
      for (int i = threadIdx.x; i < eights; i += kThreads)
        copy_to_shared(s_x + r * x_stride + 8 * i, from + 8 * i);
    }
    wait_for_copies();
    __syncthreads();
  }

  // sums_{n,r} += Σ_k W_{n,k} x_{r,k} over the warp's blocks of the round.
  __device__ void multiply_round(float (&sums)[4], int round) const {
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      const int block = i * kWarps + warp;
      const bool is_there = round * kDepth * kWarps + block < blocks;
      const int k = (is_there ? block * kBlock : width) + eight;
      multiply(sums, w[i][0], kIsHalf ? make_uint4(0, 0, 0, 0) : w[i][kIsHalf ? 0 : 1],
               *reinterpret_cast<const uint4*>(s_x + row * x_stride + k));
    }
  }

  // Each warp's sums: a plane a warp. Of swiglu the rows of the gate come first.
  __device__ void share_out(const float (&sums)[4]) {
#pragma unroll
    for (int half = 0; half < (kIsHalf ? 1 : 2); ++half)
      *reinterpret_cast<float2*>(s_sums + (warp * kTile + 8 * half + row) * kFewRows + lane % 4 * 2) =
          make_float2(sums[2 * half], sums[2 * half + 1]);
    __syncthreads();
  }
  // Of the tile's n-th row and row r of x.
  __device__ float sum_of(int n, int r) const {
    float sum = 0;
#pragma unroll
    for (int other = 0; other < kWarps; ++other) sum += s_sums[(other * kTile + n) * kFewRows + r];
    return sum;
  }

  __device__ static RowsOutput output(const RowsPart& part) {
    switch (kKind) {
      case Kind::pair: return RowsOutput::swiglu;
      case Kind::add: return RowsOutput::add;
      case Kind::widen: return RowsOutput::widen;
      default: return part.output == RowsOutput::store ? RowsOutput::store : RowsOutput::convolve;
    }
  }
  // A thread has at most one output of a tile.
  __device__ int n_of(const Place& at) const { return at.first + static_cast<int>(threadIdx.x) % kTileRows; }
  __device__ int r_of() const { return static_cast<int>(threadIdx.x) / kTileRows; }
  __device__ bool has_output(const Place& at) const { return n_of(at) < in.part[at.part].N && r_of() < in.R; }
  __device__ void fetch_beside(const Place& at, Beside& beside) const {
    const RowsPart& part = in.part[at.part];
    if (has_output(at)) beside.fetch(output(part), part, n_of(at), r_of());
  }
  __device__ void fetch_before(const Place& at, Beside& beside) const {
    const RowsPart& part = in.part[at.part];
    if (has_output(at)) beside.fetch_before(output(part), part, n_of(at), r_of());
  }
  __device__ void write(const Place& at, const Beside& beside) const {
    if (!has_output(at)) return;
    const RowsPart& part = in.part[at.part];
    const int n = static_cast<int>(threadIdx.x) % kTileRows, r = r_of();
    write_output(output(part), part, n_of(at), r, sum_of(n, r), kIsPair ? sum_of(8 + n, r) : 0, beside);
  }
};

// With kGoesOn a block takes tile after tile, and fetches the next one's weights before it writes what it
// has. With kHasRounds K is more than a block holds at a time.
template <class Of, bool kGoesOn, bool kHasRounds, int kBlocks>
__global__ void __launch_bounds__(kThreads, kHasRounds ? 1 : kBlocks)
    few_rows_kernel(const __grid_constant__ RowsProduct in) {
  let_next_start();
  Of of(in, shared_memory());
  int tile = blockIdx.x;
  Place at = of.place(tile);
  of.fetch(at, 0);
  Beside beside{};
  of.fetch_beside(at, beside);
  of.clear_missing_x();
  const typename Of::NormWeight norm_weight = of.fetch_norm();
  wait_for_previous();
  of.fetch_before(at, beside);
  const auto stage = [&] {
    if (in.part[at.part].x) {
      of.stage(in.part[at.part], 0);
    } else {
      of.stage_normed(norm_weight);
    }
  };
  stage();
  while (true) {
    float sums[4] = {};
    of.multiply_round(sums, 0);
    if constexpr (kHasRounds) {
#pragma unroll 1
      for (int round = 1; round * Of::kRound < in.K; ++round) {
        of.fetch(at, round);
        __syncthreads();  // all have read what lies there
        of.stage(in.part[at.part], round);
        of.multiply_round(sums, round);
      }
    }
    tile += static_cast<int>(gridDim.x);
    const bool ends = !kGoesOn || tile >= in.tiles;
    const Place next = ends ? at : of.place(tile);
    if (!ends) of.fetch(next, 0);
    of.share_out(sums);
    of.write(at, beside);
    if (ends) return;
    of.fetch_beside(next, beside);
    of.fetch_before(next, beside);
    __syncthreads();  // the sums have been read
    const bool is_staged = !kHasRounds && in.part[next.part].x == in.part[at.part].x;
    at = next;
    if (!is_staged) stage();
  }
}

template <class Of>
int count_tiles(const RowsProduct& in) {
  int tiles = 0;
  for (int part = 0; part < in.parts; ++part) tiles += Of::tiles_of(in.part[part]);
  return tiles;
}

template <class Of, bool kGoesOn, int kBlocks>
cudaError_t launch(RowsProduct in, int most_blocks, cudaStream_t stream) {
  in.tiles = count_tiles<Of>(in);
  const auto kernel = in.K > Of::kRound ? few_rows_kernel<Of, kGoesOn, true, kBlocks>
                                        : few_rows_kernel<Of, kGoesOn, false, kBlocks>;
  const int grid = in.tiles < most_blocks ? in.tiles : most_blocks;
  return launch_early(kernel, in, dim3(static_cast<unsigned>(grid)), kThreads, Of::bytes(in.K), 1, stream);
}

constexpr int kAny = 1 << 30;

template <Kind kKind>
cudaError_t run(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  using Whole = Rows<kKind, 4>;
  const int tiles = count_tiles<Whole>(in);
  if constexpr (kKind != Kind::pair) {
    if (tiles < multiprocessors) {
      return in.K <= 1536 ? launch<Rows<kKind, 6, true>, false, 3>(in, kAny, stream)
                          : launch<Rows<kKind, 12, true>, false, 2>(in, kAny, stream);
    }
  }
  if (in.K > 1024) return launch<Rows<kKind, 8>, false, 2>(in, kAny, stream);
  return tiles > 4 * multiprocessors ? launch<Whole, true, 2>(in, 2 * multiprocessors, stream)
                                     : launch<Whole, false, 3>(in, kAny, stream);
}

}  // namespace

cudaError_t few_rows_product(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  switch (in.part[0].output) {
    case RowsOutput::swiglu: return run<Kind::pair>(in, multiprocessors, stream);
    case RowsOutput::add: return run<Kind::add>(in, multiprocessors, stream);
    case RowsOutput::widen: return run<Kind::widen>(in, multiprocessors, stream);
    default: return run<Kind::project>(in, multiprocessors, stream);
  }
}

}  // namespace mdnlab::ops::cuda
