// Where the largest number of each row is: a cluster a row.
#include "ops/cuda/decode.h"
#include "ops/cuda/decode_gpu.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kThreads = 512, kWarps = kThreads / 32;
constexpr int kBlocks = 8;  // of a row

struct Launched {
  const float* x_RN;
  long long stride;
  int N;
  long long* to_R;
};

struct Largest {
  float value = 0;
  unsigned at = ~0u;  // ~0: nothing yet

  // The one further to the front of equal ones; one that is not a number is larger than any.
  __device__ void take(float other, unsigned other_at) {
    const bool is_larger = other > value || (other != other && value == value),
               is_equal = other == value || (other != other && value != value);
    if (other_at != ~0u && (at == ~0u || is_larger || (is_equal && other_at < at)))
      value = other, at = other_at;
  }
  __device__ void take_of_lanes(int lanes) {
    for (int distance = lanes / 2; distance > 0; distance /= 2)
      take(__shfl_xor_sync(0xffffffffu, value, distance), __shfl_xor_sync(0xffffffffu, at, distance));
  }
};

struct Shared {
  Largest of_warps[kWarps];
  float values[kBlocks], places[kBlocks];  // of all blocks, in the first; places as bits
  alignas(8) unsigned long long came;      // a barrier: they are there
};

__global__ void __launch_bounds__(kThreads) largest_kernel(const __grid_constant__ Launched it) {
  let_next_start();
  Shared& shared = *reinterpret_cast<Shared*>(shared_memory());
  const bool is_first = threadIdx.x == 0;
  const int rank = static_cast<int>(blockIdx.x), lane = static_cast<int>(threadIdx.x) % 32;
  if (is_first) {
    make_gate(&shared.came, 1);
    show_gates();
    if (rank == 0) arrive_expecting(&shared.came, 2 * kBlocks * static_cast<int>(sizeof(float)));
  }
  arrive_in_cluster();
  const float* const row = it.x_RN + blockIdx.y * it.stride;
  const int first = 4 * (rank * kThreads + static_cast<int>(threadIdx.x)), step = 4 * kBlocks * kThreads;
  wait_for_cluster();  // the first block's shared memory is there
  wait_for_previous();
  Largest largest;
#pragma unroll 4
  for (int n = first; n < it.N; n += step) {
    const float4 x = __ldcg(reinterpret_cast<const float4*>(row + n));
    const float of_n[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) largest.take(of_n[i], n + i < it.N ? n + i : ~0u);
  }
  largest.take_of_lanes(32);
  if (lane == 0) shared.of_warps[threadIdx.x / 32] = largest;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  largest = shared.of_warps[lane % kWarps];
  largest.take_of_lanes(kWarps);
  if (is_first) {
    send_number(&shared.values[rank], &shared.came, 0, largest.value);
    send_number(&shared.places[rank], &shared.came, 0, __uint_as_float(largest.at));
  }
  if (rank > 0) return;
  wait_at_cluster(&shared.came, 0);
  largest.value = shared.values[lane % kBlocks], largest.at = __float_as_uint(shared.places[lane % kBlocks]);
  largest.take_of_lanes(kBlocks);
  if (is_first) it.to_R[blockIdx.y] = largest.at;
}

}  // namespace

cudaError_t largest_of_rows(const float* x_RN, int R, int N, long long stride, long long* to_R,
                            cudaStream_t stream) {
  return launch_early(largest_kernel, Launched{x_RN, stride, N, to_R},
                      dim3(kBlocks, static_cast<unsigned>(R)), kThreads, static_cast<int>(sizeof(Shared)),
                      kBlocks, stream);
}

}  // namespace mdnlab::ops::cuda
