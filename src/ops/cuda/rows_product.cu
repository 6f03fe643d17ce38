// y = xWᵀ for more rows x than a program takes (token.cu), one a sequence.
//
// A block has 64 rows of W, 16 to a warp, and up to 64 of x; two warps, and the blocks of a cluster, share
// out K in blocks of 32. W comes from memory into registers, all that a block first needs before it waits for
// x; x lies in shared memory.
#include "ops/cuda/rows.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kMostShares = 8;           // of K: blocks of a cluster
constexpr int kGroups = 4, kShares = 2;  // warps beside each other, with rows of W of their own, and behind
constexpr int kWarps = kGroups * kShares, kThreads = 32 * kWarps;
constexpr int kTile = 16 * kGroups;  // rows of W; of swiglu half of either weight
constexpr int kDepth = 8;            // blocks of K that a warp fetches at a time
constexpr int kRound = kShares * kDepth * kBlock;

// Of swiglu, add and widen all parts of a product have the same output. A kernel of one kind is small: what
// it costs to fetch its code counts here.
enum class Kind { project, pair, add, widen };

struct Place {
  int part, first;  // row of the part's weight
};

// kColumns·8 rows of x.
template <Kind kKind, int kColumns>
struct Rows {
  static constexpr bool kIsPair = kKind == Kind::pair;
  static constexpr int kRows = 8 * kColumns, kSumStride = kRows + 2;
  static constexpr int kTileRows = kIsPair ? kTile / 2 : kTile;  // of the weight

  const RowsProduct& in;
  const int warp = threadIdx.x / 32, group = warp / kShares, share = warp % kShares, lane = threadIdx.x % 32,
            row = lane / 4, eight = lane % 4 * 8;
  const int first_x = blockIdx.y * kRows, rows_of_x = min(kRows, in.R - first_x);
  const int rank = static_cast<int>(blockIdx.x) % in.shares, first_block = rank * in.blocks_of_share,
            blocks = min(in.blocks_of_share, in.K / kBlock - first_block);
  const int width = min(in.blocks_of_share * kBlock, kRound), x_stride = width + kPad;
  __nv_bfloat16* const s_x;  // [kRows][x_stride]
  float* const s_sums;       // [kShares][kTile][kSumStride]
  uint4 w[kDepth][2];

  static int bytes(int blocks_of_share) {
    const int K = blocks_of_share * kBlock, width = K < kRound ? K : kRound;
    return kRows * (width + kPad) * 2 + kShares * kTile * kSumStride * 4;
  }
  __host__ __device__ static constexpr int tiles_of(const RowsPart& part) {
    return (part.N + kTileRows - 1) / kTileRows;
  }

  __device__ Rows(const RowsProduct& problem, unsigned char* shared)
      : in(problem),
        s_x(reinterpret_cast<__nv_bfloat16*>(shared)),
        s_sums(reinterpret_cast<float*>(shared + kRows * x_stride * 2)) {}

  // Zeros behind each row of x: what is multiplied instead of blocks past K's end.
  __device__ void clear_pad() {
    constexpr int kEights = kPad / 8;
    for (int i = threadIdx.x; i < rows_of_x * kEights; i += kThreads)
      reinterpret_cast<uint4*>(s_x + i / kEights * x_stride + width)[i % kEights] = make_uint4(0, 0, 0, 0);
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
    const int n = at.first + group * (kIsPair ? 8 : 16) + row;
    const __nv_bfloat16* const upper = line(part.weight, n);
    const __nv_bfloat16* const lower = kIsPair ? line(part.up, n) : line(part.weight, n + 8);
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      const int block = first_block + (round * kDepth + i) * kShares + share,
                k = min(block, in.K / kBlock - 1) * kBlock;
      w[i][0] = fetch_once(upper + k);
      w[i][1] = fetch_once(lower + k);
    }
  }

  // A round's part of x.
  __device__ void stage(const RowsPart& part, int round) {
    const int first = first_block * kBlock + round * kRound,
              eights = min(kRound, blocks * kBlock - round * kRound) / 8;
    for (int r = warp; r < rows_of_x; r += kWarps) {
      const __nv_bfloat16* const from = part.x + static_cast<std::int64_t>(first_x + r) * in.K + first;
#pragma unroll 2
      for (int i = lane; i < eights; i += 32) copy_to_shared(s_x + r * x_stride + 8 * i, from + 8 * i);
    }
    wait_for_copies();
    __syncthreads();
  }

  // sums_{n,r} += Σ_k W_{n,k} x_{r,k} over the warp's blocks of the round.
  __device__ void multiply_round(float (&sums)[kColumns][4], int round) const {
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      const int block = i * kShares + share;
      const bool is_there = round * kDepth * kShares + block < blocks;
      const int k = (is_there ? block * kBlock : width) + eight;
#pragma unroll
      for (int column = 0; column < kColumns; ++column)
        multiply(sums[column], w[i][0], w[i][1],
                 *reinterpret_cast<const uint4*>(s_x + (8 * column + row) * x_stride + k));
    }
  }

  // Each warp's sums to the block that adds them up, as [plane][its rows][rows of x]: a plane a share of K.
  // Of swiglu the rows of the gate come first.
  __device__ void share_out(const float (&sums)[kColumns][4]) {
    const int rows = kTile / in.shares, mine = kTileRows / in.shares, plane = rank * kShares + share;
    if (in.shares > 1) wait_for_cluster();  // all blocks are there
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int n = kIsPair ? 8 * group + row : 16 * group + 8 * half + row,
                of_block = n % mine + (kIsPair ? half * mine : 0);
      float* const here = s_sums + (plane * rows + of_block) * kSumStride + lane % 4 * 2;
      float* const there = in.shares > 1 ? at_rank(here, n / mine) : here;
#pragma unroll
      for (int column = 0; column < kColumns; ++column)
        *reinterpret_cast<float2*>(there + 8 * column) =
            make_float2(sums[column][2 * half], sums[column][2 * half + 1]);
    }
    if (in.shares > 1) {
      arrive_in_cluster();
      wait_for_cluster();
    } else {
      __syncthreads();
    }
  }

  // Of the block's n-th row and row r of x.
  __device__ float sum_of(int n, int r) const {
    const int rows = kTile / in.shares;
    float sum = 0;
#pragma unroll 2
    for (int plane = 0; plane < in.shares * kShares; ++plane)
      sum += s_sums[(plane * rows + n) * kSumStride + r];
    return sum;
  }

  // A thread has one row of the weight and several of x, two at a time, so that what they wait for comes at
  // once.
  __device__ void write(const Place& at) const {
    const RowsPart& part = in.part[at.part];
    const int mine = kTileRows / in.shares, of_block = static_cast<int>(threadIdx.x) % mine,
              n = at.first + rank * mine + of_block, beside = kThreads / mine;
    if (n >= part.N) return;
#pragma unroll 1
    for (int begin = static_cast<int>(threadIdx.x) / mine; begin < rows_of_x; begin += 2 * beside) {
      Beside taken[2];
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        if (const int r = first_x + begin + j * beside; r < first_x + rows_of_x) {
          taken[j].fetch(output(part), part, n, r);
          taken[j].fetch_before(output(part), part, n, r);
        }
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int r = begin + j * beside;
        if (r >= rows_of_x) continue;
        const float up = kIsPair ? sum_of(mine + of_block, r) : 0;
        write_output(output(part), part, n, first_x + r, sum_of(of_block, r), up, taken[j]);
      }
    }
  }
  __device__ static RowsOutput output(const RowsPart& part) {
    switch (kKind) {
      case Kind::pair: return RowsOutput::swiglu;
      case Kind::add: return RowsOutput::add;
      case Kind::widen: return RowsOutput::widen;
      default: return part.output == RowsOutput::store ? RowsOutput::store : RowsOutput::convolve;
    }
  }
};

// With kHasRounds a block's share of K is more than it holds at a time.
template <class Of, bool kHasRounds>
__global__ void __launch_bounds__(kThreads, kHasRounds ? 1 : 2)
    rows_kernel(const __grid_constant__ RowsProduct in) {
  let_next_start();
  // Sums may come. Before any load: the barrier waits for those in front of it.
  if (in.shares > 1) arrive_in_cluster();
  Of of(in, shared_memory());
  const Place at = of.place(static_cast<int>(blockIdx.x) / in.shares);
  of.fetch(at, 0);
  of.clear_pad();
  wait_for_previous();
  of.stage(in.part[at.part], 0);
  float sums[Of::kRows / 8][4] = {};
  of.multiply_round(sums, 0);
  if constexpr (kHasRounds) {
#pragma unroll 1
    for (int round = 1; round * kRound < in.blocks_of_share * kBlock; ++round) {
      of.fetch(at, round);
      __syncthreads();  // all have read what lies there
      of.stage(in.part[at.part], round);
      of.multiply_round(sums, round);
    }
  }
  of.share_out(sums);
  of.write(at);
}

// As many shares of K as make a block for each place on the GPU, two a multiprocessor, or as a block holds of
// K.
template <class Of>
cudaError_t launch(RowsProduct in, int multiprocessors, cudaStream_t stream) {
  const int blocks = in.K / kBlock;
  int tiles = 0;
  for (int part = 0; part < in.parts; ++part) tiles += Of::tiles_of(in.part[part]);
  in.shares = 1;
  const auto is_too_few = [&] {
    return 2 * in.shares * tiles <= 2 * multiprocessors || blocks * kBlock > in.shares * kRound;
  };
  while (in.shares < kMostShares && blocks >= 4 * in.shares && is_too_few()) in.shares *= 2;
  in.blocks_of_share = (blocks + in.shares - 1) / in.shares;
  const auto kernel = in.blocks_of_share * kBlock > kRound ? rows_kernel<Of, true> : rows_kernel<Of, false>;
  const int rows = (in.R + Of::kRows - 1) / Of::kRows;
  return launch_early(kernel, in, dim3(static_cast<unsigned>(tiles * in.shares), static_cast<unsigned>(rows)),
                      kThreads, Of::bytes(in.blocks_of_share), in.shares, stream);
}

template <Kind kKind>
cudaError_t run(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  return in.R <= 32 ? launch<Rows<kKind, 4>>(in, multiprocessors, stream)
                    : launch<Rows<kKind, 8>>(in, multiprocessors, stream);
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
