// y = xWᵀ for at most 16 rows x, one a sequence, with the norm in front of it: bound by the bytes of W, and
// where these are few by what waits for what.
//
// A block has a tile of W's rows at a time, and its warps share out K, in blocks of 32. W comes to shared
// memory row by row, by the copy engine, as far ahead as there is room, before the kernel in front is done;
// of x each thread reads what it multiplies into registers, behind it. Tensor cores multiply with W as their
// first operand, so that the rows of x are its columns. What the norm divides by is known only when all of x
// is read: it divides the sums.
#include "ops/cuda/rows.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr int kBlock = 32, kStepWidth = kWarps * kBlock;  // of K; each warp has a block of a step
constexpr int kMostSlots = 8;
constexpr int kOneTileBytes = 160 << 10;  // of a block with one tile: other kernels' are there beside it
constexpr int kAllBytes = 224 << 10;      // where it has more

struct Launched {
  RowsProduct in;
  Tiling tiling;
  int rows;           // of a piece: of a tile, of swiglu of both weights
  int rounds, slots;  // pieces of a tile; that there is room for
  int stride;         // from row to row in shared memory: four rows' eights of a block meet all banks
  int sum_stride;     // from row of x to row of x: eight rows of W and four of x likewise
};

// Of at most kColumns rows of x, 8 or 16. A piece of a tile has kSteps blocks of each warp. With kGoesOn a
// block may have more than one piece.
template <Kind kKind_, int kColumns_, int kSteps_, bool kGoesOn_>
struct Shape {
  static constexpr bool kGoesOn = kGoesOn_;
  static constexpr Kind kKind = kKind_;
  static constexpr int kColumns = kColumns_, kSteps = kSteps_, kEights = kColumns / 8;
  static constexpr int kRound = kSteps * kStepWidth;
  static constexpr bool kIsPair = kKind == Kind::pair;
  static constexpr int kBlocks = kGoesOn ? 1 : kSteps * kColumns > 48 ? 2 : 3;  // with so many registers
};

template <class Of>
class Worker {
 public:
  __device__ Worker(const Launched& it, unsigned char* shared)
      : it_(it),
        in_(it.in),
        w_(reinterpret_cast<__nv_bfloat16*>(shared)),
        sums_(reinterpret_cast<float*>(w_ + it.slots * it.rows * it.stride)),
        squares_(sums_ + kWarps * Of::kColumns * it.sum_stride),
        gates_(reinterpret_cast<unsigned long long*>(squares_ + kWarps * Of::kColumns)),
        thread_(threadIdx.x),
        warp_(thread_ / 32),
        row_(thread_ % 32 / 4),
        first_(warp_ * kBlock + thread_ % 4 * 8) {}

  __device__ void work() {
    if (warp_ == 0) {
      if (thread_ == 0) {
        for (int i = 0; i < it_.slots; ++i) make_gate(&gates_[i], 1);
        show_gates();
      }
      __syncwarp();
#pragma unroll 1
      for (int i = 0; i < it_.slots; ++i) fill(i, i);
    }
    Place at = it_.tiling.place(blockIdx.x);
    Outputs outputs(in_, it_.tiling, at, 0, Of::kColumns);
    outputs.fetch();
    if (const int k = kLine * thread_; in_.norm.x_RK && k < in_.K) prefetch(in_.norm.weight + k);
    __syncthreads();  // the gates are there
    wait_for_previous();
    outputs.fetch_before();
    read(in_.part[at.part].x, 0);
    if constexpr (Of::kGoesOn) {
      go_on(at, outputs);
    } else {
      wait_at(&gates_[0], 0);
      multiply_piece(0, w_);
      __syncthreads();
      outputs.write(*this);
    }
  }

  // The sums of row `row` of x and row `column` of the tile.
  __device__ void get(float (&to)[1], int row, int column) const {
    const float* const from = sums_ + row * it_.sum_stride + column;
    to[0] = 0;
#pragma unroll
    for (int warp = 0; warp < kWarps; ++warp) to[0] += from[warp * Of::kColumns * it_.sum_stride];
    if (is_weighted_) to[0] *= norm_scale(row);
  }

 private:
  using Outputs = TileOutputs<kThreads, Of::kKind, false>;

  // Piece after piece, tile after tile.
  __device__ void go_on(Place at, Outputs outputs) {
    const __nv_bfloat16* x = in_.part[at.part].x;
    InRing slot;
    int tile = blockIdx.x, piece = it_.slots;  // the next to set out
#pragma unroll 1
    while (true) {
#pragma unroll 1
      for (int round = 0; round < it_.rounds; ++round) {
        if (round > 0) read(x, round);
        wait_at(&gates_[slot.slot], slot.parity);
        multiply_piece(round, w_ + slot.slot * it_.rows * it_.stride);
        __syncthreads();  // the piece has been read, and the sums are there
        if (warp_ == 0) fill(slot.slot, piece);
        ++piece;
        slot.advance(it_.slots);
      }
      outputs.write(*this);
      tile += static_cast<int>(gridDim.x);
      if (tile >= it_.tiling.tiles) return;
      at = it_.tiling.place(tile);
      outputs.move_to(at, 0, Of::kColumns);
      outputs.fetch();
      outputs.fetch_before();
      if (it_.rounds > 1 || in_.part[at.part].x != x) {
        x = in_.part[at.part].x;
        read(x, 0);
      }
      __syncthreads();  // the sums have been read
    }
  }

  // By the first warp: the block's piece of this number sets out, if there is one.
  __device__ void fill(int slot, int piece) const {
    const int of_block = piece / it_.rounds, round = piece - of_block * it_.rounds,
              tile = static_cast<int>(blockIdx.x + of_block * gridDim.x);
    if (tile >= it_.tiling.tiles) return;
    const Place at = it_.tiling.place(tile);
    const RowsPart& part = in_.part[at.part];
    const int k = round * Of::kRound, bytes = 2 * min(in_.K - k, Of::kRound),
              there = min(it_.tiling.tile, part.N - at.first), rows = Of::kIsPair ? 2 * there : there;
    if (thread_ == 0) arrive_expecting(&gates_[slot], rows * bytes);
    __syncwarp();
#pragma unroll 1
    for (int i = thread_; i < rows; i += 32) {
      const bool is_up = Of::kIsPair && i >= there;
      const int n = is_up ? i - there : i;
      copy_row(w_ + (slot * it_.rows + (is_up ? it_.tiling.tile + n : n)) * it_.stride,
               (is_up ? part.up : part.weight) + static_cast<std::int64_t>(at.first + n) * in_.K + k, bytes,
               &gates_[slot]);
    }
  }

  __device__ float norm_scale(int row) const {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kWarps; i += 4) {
      float four[4];
      read_numbers<4>(four, squares_ + row * kWarps + i);
      sum += four[0] + four[1] + four[2] + four[3];
    }
    return rsqrtf(sum / static_cast<float>(in_.K) + in_.norm.eps);
  }

  __device__ int k_of(int step) const { return step * kStepWidth + first_; }
  // Whether the warp has a block of that step.
  __device__ bool has(int step) const { return step * kStepWidth + warp_ * kBlock < in_.K; }

  // The thread's part of x in a round. Rows past the last are read as that.
  __device__ void read(const __nv_bfloat16* x, int round) {
    is_weighted_ = !x;
    if (is_weighted_) return read_weighted();
#pragma unroll
    for (int eight = 0; eight < Of::kEights; ++eight) {
      const __nv_bfloat16* const from = x + static_cast<std::int64_t>(row_of_x(eight)) * in_.K;
#pragma unroll
      for (int j = 0; j < Of::kSteps; ++j) {
        const int step = round * Of::kSteps + j;
        x_[j][eight] = make_uint4(0, 0, 0, 0);
        if (has(step)) x_[j][eight] = __ldcg(reinterpret_cast<const uint4*>(from + k_of(step)));
      }
    }
  }
  // Of the norm's x, whose K is one round, times its weight; and Σ x² of the warp's part.
  __device__ void read_weighted() {
#pragma unroll
    for (int eight = 0; eight < Of::kEights; ++eight) {
      const float* const from = in_.norm.x_RK + static_cast<std::int64_t>(row_of_x(eight)) * in_.K;
      float squares = 0;
#pragma unroll
      for (int j = 0; j < Of::kSteps; ++j) {
        unsigned pairs[4] = {};
#pragma unroll
        for (int half = 0; half < 2 && has(j); ++half) {
          const float4 a = __ldcg(reinterpret_cast<const float4*>(from + k_of(j) + 4 * half)),
                       by = fetch_early4(in_.norm.weight + k_of(j) + 4 * half);
          squares += a.x * a.x + a.y * a.y + a.z * a.z + a.w * a.w;
          pairs[2 * half] = pair_of(a.x * by.x, a.y * by.y);
          pairs[2 * half + 1] = pair_of(a.z * by.z, a.w * by.w);
        }
        x_[j][eight] = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
      }
      for (int step = 1; step < 4; step *= 2) squares += __shfl_xor_sync(0xffffffffu, squares, step);
      if (thread_ % 4 == 0) squares_[(row_ + 8 * eight) * kWarps + warp_] = squares;
    }
  }
  __device__ int row_of_x(int eight) const { return min(row_ + 8 * eight, in_.R - 1); }
  __device__ static unsigned pair_of(float a, float b) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
    return *reinterpret_cast<const unsigned*>(&pair);
  }

  // To the warp's sums, its blocks of a piece. The tensor cores add up over k in whatever order k is named,
  // so the eight numbers of a thread lie side by side, of W and of x alike. Rows past the piece's last are
  // read as that, and their sums not.
  __device__ void multiply_piece(int round, const __nv_bfloat16* piece) const {
    float* to = sums_ + (warp_ * Of::kColumns + thread_ % 4 * 2) * it_.sum_stride + row_;
#pragma unroll 1
    for (int n = row_; n < it_.rows + row_; n += 16, to += 16) {
      const __nv_bfloat16* const upper = piece + min(n, it_.rows - 1) * it_.stride + first_;
      const __nv_bfloat16* const lower = piece + min(n + 8, it_.rows - 1) * it_.stride + first_;
      float d[Of::kEights][2][4] = {};  // by turns: one waits for what it adds to
#pragma unroll
      for (int j = 0; j < Of::kSteps; ++j) {
        if (!has(round * Of::kSteps + j)) break;
        const uint4 a = *reinterpret_cast<const uint4*>(upper + j * kStepWidth),
                    b = *reinterpret_cast<const uint4*>(lower + j * kStepWidth);
#pragma unroll
        for (int eight = 0; eight < Of::kEights; ++eight) {
          multiply(d[eight][0], a.x, b.x, a.y, b.y, x_[j][eight].x, x_[j][eight].y);
          multiply(d[eight][1], a.z, b.z, a.w, b.w, x_[j][eight].z, x_[j][eight].w);
        }
      }
#pragma unroll
      for (int eight = 0; eight < Of::kEights; ++eight)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          float& sum = to[(8 * eight + i % 2) * it_.sum_stride + i / 2 * 8];
          const float more = d[eight][0][i] + d[eight][1][i];
          sum = round > 0 ? sum + more : more;
        }
    }
  }

  const Launched& it_;
  const RowsProduct& in_;
  __nv_bfloat16* const w_;           // [slots][rows][stride]
  float* const sums_;                // [kWarps][kColumns][sum_stride]
  float* const squares_;             // [kColumns][kWarps]
  unsigned long long* const gates_;  // [slots]
  int thread_, warp_, row_, first_;
  bool is_weighted_ = false;  // x, which the sums are of
  uint4 x_[Of::kSteps][Of::kEights];
};

template <class Of>
__global__ void __launch_bounds__(kThreads, Of::kBlocks)
    few_rows_kernel(const __grid_constant__ Launched it) {
  let_next_start();
  Worker<Of>(it, shared_memory()).work();
}

template <class Of>
cudaError_t launch(const Launched& it, int blocks, int bytes, cudaStream_t stream) {
  return launch_early(few_rows_kernel<Of>, it, dim3(static_cast<unsigned>(blocks)), kThreads, bytes, 1,
                      stream);
}

// The smallest tile of which there is one for each block; where that is too large, one of which several
// pieces have room.
template <Kind kKind, int kColumns, int kSteps>
cudaError_t run(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  const int weights = kKind == Kind::pair ? 2 : 1, round = kSteps * kStepWidth,
            width = in.K < round ? in.K : round;
  Launched it{.in = in, .rounds = (in.K + round - 1) / round, .stride = (width / kBlock | 1) * kBlock};
  const auto bytes = [&](int tile, int slots) {
    it.rows = weights * tile, it.slots = slots, it.sum_stride = (it.rows + 15) / 16 * 16 + 4;
    return slots * (it.rows * it.stride * 2 + 8) + kWarps * kColumns * (it.sum_stride + 1) * 4;
  };
  int tile = 8;
  while (bytes(tile, it.rounds) <= kOneTileBytes && count_tiles(in, tile) > multiprocessors) ++tile;
  int slots = it.rounds;
  if (slots > kMostSlots || bytes(tile, slots) > kOneTileBytes) {
    tile = (width <= 1024 ? 32 : 16) / weights, slots = 2;
    while (slots < kMostSlots && bytes(tile, slots + 1) <= kAllBytes) ++slots;
  }
  it.tiling = tiling_of(in, tile);
  const int all_bytes = bytes(tile, slots), tiles = it.tiling.tiles;
  if constexpr (kKind != Kind::widen) {  // all of a vocabulary
    if (it.rounds == 1 && tiles <= multiprocessors)
      return launch<Shape<kKind, kColumns, kSteps, false>>(it, tiles, all_bytes, stream);
  }
  return launch<Shape<kKind, kColumns, kSteps, true>>(it, tiles < multiprocessors ? tiles : multiprocessors,
                                                      all_bytes, stream);
}

template <Kind kKind>
cudaError_t run(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  const auto fits = [&](int steps) { return in.K <= steps * kStepWidth; };
  if (in.R > 8) {
    return fits(4) ? run<kKind, 16, 4>(in, multiprocessors, stream)
                   : run<kKind, 16, 6>(in, multiprocessors, stream);
  }
  if (fits(4)) return run<kKind, 8, 4>(in, multiprocessors, stream);
  return fits(6) ? run<kKind, 8, 6>(in, multiprocessors, stream)
                 : run<kKind, 8, 12>(in, multiprocessors, stream);
}

}  // namespace

cudaError_t few_rows_product(const RowsProduct& in, int multiprocessors, cudaStream_t stream) {
  if (in.norm.x_RK && in.K > widest_normed(in.R)) return cudaErrorInvalidValue;
  switch (in.part[0].output) {
    case RowsOutput::swiglu: return run<Kind::pair>(in, multiprocessors, stream);
    case RowsOutput::add: return run<Kind::add>(in, multiprocessors, stream);
    case RowsOutput::widen: return run<Kind::widen>(in, multiprocessors, stream);
    default: return run<Kind::project>(in, multiprocessors, stream);
  }
}

}  // namespace mdnlab::ops::cuda
