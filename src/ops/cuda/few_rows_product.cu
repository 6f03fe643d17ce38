// y = xWᵀ for at most 16 rows x, one a sequence, with the norm in front of it: bound by the bytes of W, and
// where these are few by what waits for what.
//
// A block has a tile of W's rows at a time, and its warps share out K, in blocks of 32. W comes to shared
// memory row by row, by the copy engine, as far ahead as there is room, before the kernel in front is done; x
// behind it, by all threads, each with 16 bytes beside the next one's: all multiprocessors read it at once,
// and what counts is how often they ask. Tensor cores multiply with W as their first operand, so that the
// rows of x are its columns. What the norm divides by is known only when all of x is read: it divides the
// sums.
#include "ops/cuda/rows.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr int kBlock = 32;    // of K, that a warp has at a time
constexpr int kRound = 2048;  // of K, that is there at once
constexpr int kMostSlots = 8;
constexpr int kOneTileBytes = 200 << 10;  // of a block with one tile: other kernels' are there beside it
constexpr int kAllBytes = 224 << 10;      // where it has more

struct Launched {
  RowsProduct in;
  Tiling tiling;
  int rows;           // of a piece: of a tile, of swiglu of both weights
  int rounds, slots;  // pieces of a tile; that there is room for
  int stride;         // from row to row in shared memory: eights of eight rows meet all banks
  float inverse_K;
};

// Of at most kRows rows of x: 1, 8 or 16. With kGoesOn a block may have more than one piece.
template <Kind kKind_, int kRows_, bool kGoesOn_>
struct Shape {
  static constexpr Kind kKind = kKind_;
  static constexpr int kRows = kRows_, kEights = (kRows + 7) / 8;
  static constexpr bool kGoesOn = kGoesOn_, kIsPair = kKind == Kind::pair;
  static constexpr int kSixteens = kGoesOn ? 2 : 3;      // of a piece's rows, at most
  static constexpr int kSumStride = 16 * kSixteens + 4;  // eight rows of W and four of x meet all banks
  static constexpr int kBlocks = kGoesOn ? 1 : kRows > 8 ? 2 : kRows > 1 ? 3 : 4;  // with so many registers
};

template <class Of>
class Worker {
 public:
  __device__ Worker(const Launched& it, unsigned char* shared)
      : it_(it),
        in_(it.in),
        w_(reinterpret_cast<__nv_bfloat16*>(shared)),
        x_(w_ + it.slots * it.rows * it.stride),
        sums_(reinterpret_cast<float*>(x_ + in_.R * it.stride)),
        squares_(sums_ + kWarps * in_.R * Of::kSumStride),
        gates_(reinterpret_cast<unsigned long long*>(squares_ + kWarps * in_.R)),
        thread_(threadIdx.x),
        warp_(thread_ / 32),
        lane_(thread_ % 32),
        put_at_((warp_ * in_.R + lane_ % 4 * 2) * Of::kSumStride + lane_ / 4) {
    // Of the 16 rows and 16 of k, lanes 0 to 7 say where the first eight rows are, 8 to 15 the others, then
    // both at the eight of k behind. Of x lanes 0 to 7 say where rows are, the others at the eights behind.
    // For rows past the last, of W and of x, others are read, and their sums not: eight further to the front,
    // since the same row twice takes as long as two that meet in a bank. In front of x there is W.
#pragma unroll
    for (int i = 0; i < Of::kSixteens; ++i) {
      int row = 16 * i + lane_ % 16;
      while (row >= it.rows) row -= 8;
      w_at_[i] = row * it.stride + lane_ / 16 * 8 + warp_ * kBlock;
      keep(w_at_[i]);
    }
#pragma unroll
    for (int i = 0; i < Of::kEights; ++i) {
      const int row = 8 * i + lane_ % 8;
      x_at_[i] = (row < in_.R ? row : row - 8) * it.stride + lane_ / 8 * 8 + warp_ * kBlock;
      keep(x_at_[i]);
    }
    keep(put_at_);
  }

  __device__ void work() {
    if (thread_ == 0) {
      for (int i = 0; i < it_.slots; ++i) make_gate(&gates_[i], 1);
      show_gates();
    }
    __syncthreads();
#pragma unroll 1
    for (int i = 0; i < it_.slots; ++i) fill(i, i);
    const Place at = it_.tiling.place(blockIdx.x);
    Outputs outputs(in_, it_.tiling, at, 0, Of::kRows, thread_);
    outputs.fetch();
    const __nv_bfloat16* const x = in_.part[at.part].x;
    normed_x_ = in_.norm.x_RK + 4 * thread_;
    keep(normed_x_);
    float4 weight;  // of the norm, of the thread's first numbers
    if (!x && 4 * thread_ < in_.K) weight = fetch_early4(in_.norm.weight + 4 * thread_);
    wait_for_previous();
    if constexpr (Of::kGoesOn) {
      go_on(x, weight, outputs);
    } else {
      take_x(x, weight, 0);
      wait_at(&gates_[0], 0);
      Sums sums = {};
      multiply_piece(sums, 0, w_);
      put(sums);
      __syncthreads();
      outputs.write(*this);
    }
  }

  // The sums of row `row` of x and row `column` of the tile.
  __device__ void get(float (&to)[1], int row, int column) const {
    const float* const from = sums_ + row * Of::kSumStride + column;
    to[0] = 0;
#pragma unroll
    for (int warp = 0; warp < kWarps; ++warp) to[0] += from[warp * in_.R * Of::kSumStride];
  }
  // What the norm multiplies row `row` of x by.
  __device__ float scale(int row) const {
    if (!is_normed_) return 1;
    float sum = 0;
#pragma unroll
    for (int warp = 0; warp < kWarps; ++warp) sum += squares_[row * kWarps + warp];
    return rsqrtf(sum * it_.inverse_K + in_.norm.eps);
  }

 private:
  using Outputs = TileOutputs<kThreads, Of::kKind, false>;
  using Sums = float[Of::kSixteens][Of::kEights][4];  // of the warp's blocks of K

  // Piece after piece, tile after tile. With one round x stays while it is that of the next tile.
  __device__ void go_on(const __nv_bfloat16* x, float4 weight, Outputs outputs) {
    InRing slot;
    int tile = blockIdx.x, piece = it_.slots;  // the next to set out
    bool takes_x = true;
#pragma unroll 1
    while (true) {
      Sums sums = {};
#pragma unroll 1
      for (int round = 0; round < it_.rounds; ++round) {
        if (takes_x) take_x(x, weight, round);
        wait_at(&gates_[slot.slot], slot.parity);
        multiply_piece(sums, round, w_ + slot.slot * it_.rows * it_.stride);
        if (round + 1 == it_.rounds) put(sums);
        __syncthreads();  // the piece and x have been read, and the sums are there
        fill(slot.slot, piece++);
        slot.advance(it_.slots);
      }
      outputs.write(*this);
      tile += static_cast<int>(gridDim.x);
      if (tile >= it_.tiling.tiles) return;
      const Place at = it_.tiling.place(tile);
      outputs.move_to(at, 0, Of::kRows);
      outputs.fetch();
      __syncthreads();  // the sums have been read
      takes_x = it_.rounds > 1 || in_.part[at.part].x != x;
      x = in_.part[at.part].x;
    }
  }

  // The block's piece of this number sets out, if there is one; each warp asks for some rows, since a thread
  // takes long for each.
  __device__ void fill(int slot, int piece) const {
    const int of_block = piece / it_.rounds, round = piece - of_block * it_.rounds,
              tile = static_cast<int>(blockIdx.x + of_block * gridDim.x);
    if (tile >= it_.tiling.tiles || lane_ != 0) return;
    const Place at = it_.tiling.place(tile);
    const RowsPart& part = in_.part[at.part];
    const int k = round * kRound, bytes = 2 * min(in_.K - k, kRound),
              there = min(it_.tiling.tile, part.N - at.first), rows = Of::kIsPair ? 2 * there : there;
    if (warp_ == 0) arrive_expecting(&gates_[slot], rows * bytes);
#pragma unroll 1
    for (int i = warp_; i < rows; i += kWarps) {
      const bool is_up = Of::kIsPair && i >= there;
      const int n = is_up ? i - there : i;
      copy_row(w_ + (slot * it_.rows + (is_up ? it_.tiling.tile + n : n)) * it_.stride,
               (is_up ? part.up : part.weight) + static_cast<std::int64_t>(at.first + n) * in_.K + k, bytes,
               &gates_[slot]);
    }
  }

  // A round of x, for all warps: of the norm's if there is none, times its weight, and Σ x² of each row.
  __device__ void take_x(const __nv_bfloat16* x, float4 weight, int round) {
    is_normed_ = !x;
    if (is_normed_) return take_normed(weight);
    const int first = round * kRound, eights = min(in_.K - first, kRound) / 8;
#pragma unroll 1
    for (int row = 0; row < in_.R; ++row)
      for (int i = thread_; i < eights; i += kThreads)
        copy_to_shared(x_ + row * it_.stride + 8 * i,
                       x + static_cast<std::int64_t>(row) * in_.K + first + 8 * i);
    commit_copies();
    wait_for_copies<0>();
    __syncthreads();
  }
  __device__ void take_normed(float4 weight) {
    float squares[Of::kRows] = {};
#pragma unroll 1
    for (int k = 4 * thread_; k < in_.K; k += 4 * kThreads) {
      float4 numbers[Of::kRows];
#pragma unroll
      for (int row = 0; row < Of::kRows; ++row)
        if (row < in_.R)
          numbers[row] = __ldcg(reinterpret_cast<const float4*>(
              normed_x_ + static_cast<std::int64_t>(row) * in_.K + (k - 4 * thread_)));
      if (k >= 4 * kThreads) weight = fetch_early4(in_.norm.weight + k);
#pragma unroll
      for (int row = 0; row < Of::kRows; ++row) {
        if (row < in_.R) {
          const float4& of = numbers[row];
          squares[row] += of.x * of.x + of.y * of.y + of.z * of.z + of.w * of.w;
          put_numbers<4>(x_ + row * it_.stride + k,
                         {of.x * weight.x, of.y * weight.y, of.z * weight.z, of.w * weight.w});
        }
      }
    }
    __syncthreads();
#pragma unroll
    for (int row = 0; row < Of::kRows; ++row) {
      if (row < in_.R) {
        for (int step = 1; step < 32; step *= 2)
          squares[row] += __shfl_xor_sync(0xffffffffu, squares[row], step);
        if (lane_ == 0) squares_[row * kWarps + warp_] = squares[row];
      }
    }
  }

  // The warp's blocks of a piece.
  __device__ void multiply_piece(Sums& sums, int round, const __nv_bfloat16* piece) const {
    const int width = min(in_.K - round * kRound, kRound) - kBlock * warp_;
#pragma unroll 4
    for (int k = 0; k < width; k += kBlock * kWarps) {
      unsigned x[Of::kEights][4];
#pragma unroll
      for (int i = 0; i < Of::kEights; ++i) read_matrix(x[i], x_ + x_at_[i] + k);
#pragma unroll
      for (int i = 0; i < Of::kSixteens; ++i)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          unsigned w[4];
          read_matrix(w, piece + w_at_[i] + k + 16 * half);
#pragma unroll
          for (int eight = 0; eight < Of::kEights; ++eight)
            multiply(sums[i][eight], w[0], w[1], w[2], w[3], x[eight][2 * half], x[eight][2 * half + 1]);
        }
    }
  }
  __device__ void put(const Sums& sums) const {
    float* const to = sums_ + put_at_;
#pragma unroll
    for (int eight = 0; eight < Of::kEights; ++eight)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        if (8 * eight + lane_ % 4 * 2 + i >= in_.R) continue;
#pragma unroll
        for (int j = 0; j < 2 * Of::kSixteens; ++j)
          to[(8 * eight + i) * Of::kSumStride + 8 * j] = sums[j / 2][eight][j % 2 * 2 + i];
      }
  }

  const Launched& it_;
  const RowsProduct& in_;
  __nv_bfloat16 *const w_, *const x_;  // [slots][rows][stride], [R][stride]
  float* const sums_;                  // [kWarps][R][kSumStride]
  float* const squares_;               // [R][kWarps]
  unsigned long long* const gates_;    // [slots]
  int thread_, warp_, lane_, put_at_;
  int w_at_[Of::kSixteens], x_at_[Of::kEights];
  const float* normed_x_;
  bool is_normed_ = false;  // x, which the sums are of
};

template <class Of>
__global__ void __launch_bounds__(kThreads, Of::kBlocks)
    few_rows_kernel(const __grid_constant__ Launched it) {
  let_next_start();
  Worker<Of>(it, shared_memory()).work();
}

// The smallest tile of which there is one for each block; where that is too large, one of which several
// pieces have room.
template <Kind kKind, int kRows>
cudaError_t run(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  using Once = Shape<kKind, kRows, false>;
  using GoesOn = Shape<kKind, kRows, true>;
  const int weights = kKind == Kind::pair ? 2 : 1, width = in.K < kRound ? in.K : kRound;
  Launched it{.in = in,
              .rounds = (in.K + kRound - 1) / kRound,
              .stride = width + 8,
              .inverse_K = 1 / static_cast<float>(in.K)};
  const auto bytes = [&](int tile, int slots, int sum_stride) {
    it.rows = weights * tile, it.slots = slots;
    return (slots * it.rows + in.R) * it.stride * 2 + kWarps * in.R * (sum_stride + 1) * 4 + slots * 8;
  };
  const auto launch = [&](auto kernel, int tile, int slots, int sum_stride) {
    it.tiling = tiling_of(in, tile);
    const int blocks = it.tiling.tiles < multiprocessors ? it.tiling.tiles : multiprocessors;
    return launch_early(kernel, it, dim3(static_cast<unsigned>(blocks)), kThreads,
                        bytes(tile, slots, sum_stride), 0, stream);
  };
  if constexpr (kKind != Kind::widen) {  // all of a vocabulary
    int tile = 8;
    while (count_tiles(in, tile) > multiprocessors && weights * tile <= 16 * Once::kSixteens) ++tile;
    if (weights * tile <= 16 * Once::kSixteens && it.rounds == 1 &&
        bytes(tile, 1, Once::kSumStride) <= kOneTileBytes)
      return launch(few_rows_kernel<Once>, tile, 1, Once::kSumStride);
  }
  const int tile = (width <= 1024 ? 16 * GoesOn::kSixteens : 16) / weights;
  int slots = 2;
  while (slots < kMostSlots && bytes(tile, slots + 1, GoesOn::kSumStride) <= kAllBytes) ++slots;
  return launch(few_rows_kernel<GoesOn>, tile, slots, GoesOn::kSumStride);
}

template <Kind kKind>
cudaError_t run(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  if (in.R == 1) return run<kKind, 1>(in, multiprocessors, stream);
  return in.R <= 8 ? run<kKind, 8>(in, multiprocessors, stream) : run<kKind, 16>(in, multiprocessors, stream);
}

}  // namespace

cudaError_t few_rows_product(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  if (in.norm.x_RK && in.K > widest_normed(in.R)) return cudaErrorInvalidValue;
  switch (in.part[0].output) {
    case RowsOutput::swiglu: return run<Kind::pair>(in, multiprocessors, stream);
    case RowsOutput::add: return cudaErrorInvalidValue;
    case RowsOutput::widen: return run<Kind::widen>(in, multiprocessors, stream);
    default: return run<Kind::project>(in, multiprocessors, stream);
  }
}

}  // namespace mdnlab::ops::cuda
