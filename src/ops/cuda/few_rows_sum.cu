// y += xWᵀ for at most 16 rows x, one a sequence. W has few rows here, the residual stream's numbers, so a
// block's part of it is small: eight rows, of which each warp has a share of K in registers, before the
// kernel in front is done. Shared memory is left to the kernels in front and behind, whose weights come
// there. Of x each warp takes its share. Tensor cores multiply with x as their first operand.
#include "ops/cuda/rows.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr int kTile = 8;    // of W's rows, of a block
constexpr int kBlock = 32;  // of K: eight numbers of each of four threads

struct Launched {
  RowsProduct in;
  Tiling tiling;
  int of_warp;  // blocks of K
};

// A warp has kBlocks of its blocks of K at a time; of 16 rows of x two eights.
template <int kEights, int kBlocks>
class Worker {
 public:
  static constexpr int kStride = kBlock * (kBlocks + 1);  // of x: two rows' eights of a block meet all banks
  static int bytes(int R) { return kWarps * R * (kStride * 2 + kTile * 4); }

  __device__ Worker(const Launched& it, unsigned char* shared)
      : it_(it),
        in_(it.in),
        at_(it.tiling.place(blockIdx.x)),
        warp_(static_cast<int>(threadIdx.x) / 32),
        lane_(static_cast<int>(threadIdx.x) % 32),
        blocks_(min(it.of_warp, in_.K / kBlock - warp_ * it.of_warp)),
        first_(warp_ * it.of_warp * kBlock),
        x_(reinterpret_cast<__nv_bfloat16*>(shared) + warp_ * in_.R * kStride),
        sums_(reinterpret_cast<float*>(shared + kWarps * in_.R * kStride * 2)),
        from_(in_.part[at_.part].x + first_ + 8 * lane_) {
    // Rows past the last are read as that, and their sums not.
#pragma unroll
    for (int i = 0; i < kEights; ++i) {
      const int row = lane_ / 4 + 8 * i;
      x_at_[i] = min(row, in_.R - 1) * kStride + lane_ % 4 * 8;
      put_at_[i] = row < in_.R ? (warp_ * in_.R + row) * kTile + lane_ % 4 * 2 : -1;
      keep(x_at_[i]), keep(put_at_[i]);
    }
    keep(from_);
  }

  __device__ void work() {
    fetch_weights(0);
    TileOutputs<kThreads, Kind::add, false> outputs(in_, it_.tiling, at_, 0, 8 * kEights,
                                                    static_cast<int>(threadIdx.x));
    outputs.fetch();
    wait_for_previous();
    float sums[2][4] = {};
    fetch_x(0);
    outputs.fetch_before();
    multiply_blocks(sums, 0);
#pragma unroll 1
    for (int done = kBlocks; done < blocks_; done += kBlocks) {
      __syncwarp();  // x has been read
      fetch_weights(done);
      fetch_x(done);
      multiply_blocks(sums, done);
    }
    // Lane l has of a row the columns 2(l mod 4) and the next.
#pragma unroll
    for (int eight = 0; eight < kEights; ++eight) {
      const int other = kEights > 1 ? 2 * eight : 2;
      if (put_at_[eight] >= 0)
        *reinterpret_cast<float2*>(sums_ + put_at_[eight]) =
            make_float2(sums[0][2 * eight] + sums[1][other], sums[0][2 * eight + 1] + sums[1][other + 1]);
    }
    __syncthreads();
    outputs.write(*this);
  }

  __device__ void get(float (&to)[1], int row, int column) const {
    to[0] = 0;
#pragma unroll
    for (int warp = 0; warp < kWarps; ++warp) to[0] += sums_[(warp * in_.R + row) * kTile + column];
  }
  __device__ float scale(int) const { return 1; }

 private:
  // From the warp's block `done` on.
  __device__ void fetch_weights(int done) {
    const RowsPart& part = in_.part[at_.part];
    const int n = at_.first + lane_ / 4;
    const __nv_bfloat16* const from =
        part.weight + static_cast<std::int64_t>(n) * in_.K + first_ + done * kBlock + lane_ % 4 * 8;
#pragma unroll
    for (int i = 0; i < kBlocks; ++i) {
      w_[i] = {};
      fetch_eight(w_[i], from + i * kBlock, (n < part.N) & (done + i < blocks_));
    }
  }
  // Each lane asks for one or two eights of a row.
  __device__ void fetch_x(int done) const {
    const int eights = min(blocks_ - done, kBlocks) * (kBlock / 8);
    const __nv_bfloat16* from = from_ + done * kBlock;
    __nv_bfloat16* to = x_ + 8 * lane_;
#pragma unroll 1
    for (int row = 0; row < in_.R; ++row, from += in_.K, to += kStride) {
      if (lane_ < eights) copy_to_shared(to, from);
      if (kBlocks * kBlock > 8 * 32 && lane_ + 32 < eights) copy_to_shared(to + 8 * 32, from + 8 * 32);
    }
    commit_copies();
  }
  // A thread's eight numbers of a block are what it has of two products of 16, two pairs each: any order of k
  // will do, if x and W have the same. Where there are no more than eight rows, both products take the same
  // four pairs of x, as rows l/4 and l/4 + 8; of the first the former, of the second the latter are what is
  // sought.
  __device__ void multiply_blocks(float (&sums)[2][4], int done) const {
    wait_for_copies<0>();
    __syncwarp();
    const int last = min(blocks_ - done, kBlocks) - 1;
    if (last < 0) return;
#pragma unroll
    for (int i = 0; i < kBlocks; ++i) {  // of no block W is 0
      uint4 x[kEights];
#pragma unroll
      for (int j = 0; j < kEights; ++j)
        x[j] = *reinterpret_cast<const uint4*>(x_ + x_at_[j] + min(i, last) * kBlock);
      if constexpr (kEights == 1) {
        multiply(sums[0], x[0].x, x[0].y, x[0].z, x[0].w, w_[i].x, w_[i].z);
        multiply(sums[1], x[0].x, x[0].y, x[0].z, x[0].w, w_[i].y, w_[i].w);
      } else {
        multiply(sums[0], x[0].x, x[1].x, x[0].y, x[1].y, w_[i].x, w_[i].y);
        multiply(sums[1], x[0].z, x[1].z, x[0].w, x[1].w, w_[i].z, w_[i].w);
      }
    }
  }

  const Launched& it_;
  const RowsProduct& in_;
  const Place at_;
  int warp_, lane_, blocks_, first_;  // of K, the warp's
  __nv_bfloat16* const x_;            // [R][kStride], the warp's
  float* const sums_;                 // [kWarps][R][kTile]
  const __nv_bfloat16* from_;
  int x_at_[kEights], put_at_[kEights];
  uint4 w_[kBlocks];
};

// With few, so that the kernels in front and behind have room beside it.
constexpr int registers(int eights, int blocks) { return eights > 1 ? 96 : blocks > 6 ? 88 : 64; }

template <int kEights, int kBlocks>
__global__ void __maxnreg__(registers(kEights, kBlocks))
    few_rows_sum_kernel(const __grid_constant__ Launched it) {
  let_next_start();
  Worker<kEights, kBlocks>(it, shared_memory()).work();
}

template <int kEights, int kBlocks>
cudaError_t launch(const Launched& it, cudaStream_t stream) {
  return launch_early(few_rows_sum_kernel<kEights, kBlocks>, it, dim3(static_cast<unsigned>(it.tiling.tiles)),
                      kThreads, Worker<kEights, kBlocks>::bytes(it.in.R), 0, stream);
}

}  // namespace

cudaError_t few_rows_sum(const RowsProduct& in, int, cudaStream_t stream) {
  constexpr int kFew = 6, kMany = 12;
  const Launched it{
      .in = in, .tiling = tiling_of(in, kTile), .of_warp = (in.K / kBlock + kWarps - 1) / kWarps};
  if (in.R <= 8) return it.of_warp <= kFew ? launch<1, kFew>(it, stream) : launch<1, kMany>(it, stream);
  return it.of_warp <= kFew ? launch<2, kFew>(it, stream) : launch<2, kMany>(it, stream);
}

}  // namespace mdnlab::ops::cuda
