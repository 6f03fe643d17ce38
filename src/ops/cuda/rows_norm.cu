// x̂ of the rows x of some sequences, for a product of many rows: a block a row.
#include "ops/cuda/decode.h"
#include "ops/cuda/decode_gpu.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

struct Launched {
  RowsNorm norm;
  int K;
  __nv_bfloat16* y_RK;
};

__global__ void __launch_bounds__(kThreads) rows_norm_kernel(const __grid_constant__ Launched it) {
  let_next_start();
  float* const sums = reinterpret_cast<float*>(shared_memory());  // [kWarps]
  const float* const x = it.norm.x_RK + static_cast<long long>(blockIdx.x) * it.K;
  const int first = 4 * static_cast<int>(threadIdx.x), step = 4 * kThreads;
  // The first four are ahead, or stay in registers.
  const float4 weight = first < it.K ? fetch_early4(it.norm.weight + first) : make_float4(0, 0, 0, 0);
  wait_for_previous();
  float sum = 0;
  const auto fetch = [&](int k) { return __ldcg(reinterpret_cast<const float4*>(x + k)); };
  const float4 mine = first < it.K ? fetch(first) : make_float4(0, 0, 0, 0);
#pragma unroll 1
  for (int k = first; k < it.K; k += step) {
    const float4 a = k == first ? mine : fetch(k);
    sum += a.x * a.x + a.y * a.y + a.z * a.z + a.w * a.w;
  }
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0;
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) sum += sums[warp];
  const float scale = rsqrtf(sum / static_cast<float>(it.K) + it.norm.eps);
#pragma unroll 1
  for (int k = first; k < it.K; k += step) {
    const float4 a = k == first ? mine : fetch(k),
                 by = k == first ? weight : fetch_early4(it.norm.weight + k);
    const __nv_bfloat162 pairs[2] = {__floats2bfloat162_rn(a.x * scale * by.x, a.y * scale * by.y),
                                     __floats2bfloat162_rn(a.z * scale * by.z, a.w * scale * by.w)};
    *reinterpret_cast<uint2*>(it.y_RK + static_cast<long long>(blockIdx.x) * it.K + k) =
        *reinterpret_cast<const uint2*>(pairs);
  }
}

}  // namespace

cudaError_t norm_rows(const RowsNorm& norm, int R, int K, __nv_bfloat16* y_RK, cudaStream_t stream) {
  return launch_early(rows_norm_kernel, Launched{norm, K, y_RK}, dim3(static_cast<unsigned>(R)), kThreads,
                      kWarps * static_cast<int>(sizeof(float)), 0, stream);
}

}  // namespace mdnlab::ops::cuda
