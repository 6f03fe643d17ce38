// How the bodies of threads read and write four channels, compute, and add over neighbouring threads on a
// GPU.
#pragma once

#include <cuda_bf16.h>

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops::cuda {

inline constexpr int kThreads = 128;  // of a block

struct Gpu {
  // Through the read-only path, so that loads of later tokens may pass stores of earlier ones.
  static __device__ float4 fetch(const float* p) { return __ldg(reinterpret_cast<const float4*>(p)); }
  static __device__ uint2 fetch(const __nv_bfloat16* p) { return __ldg(reinterpret_cast<const uint2*>(p)); }
  // What the kernel itself writes.
  static __device__ float4 fetch_written(const float* p) { return *reinterpret_cast<const float4*>(p); }
  static __device__ uint2 fetch_written(const __nv_bfloat16* p) { return *reinterpret_cast<const uint2*>(p); }
  static __device__ float load_written(const float* p) { return *p; }
  static __device__ float load_written(const __nv_bfloat16* p) { return __bfloat162float(*p); }
  static __device__ Quad widen(const float4& value) { return {value.x, value.y, value.z, value.w}; }
  static __device__ Quad widen(const uint2& bits) {
    const auto low = [](unsigned pair) { return __uint_as_float(pair << 16); };
    const auto high = [](unsigned pair) { return __uint_as_float(pair & 0xffff0000U); };
    return {low(bits.x), high(bits.x), low(bits.y), high(bits.y)};
  }
  static __device__ void store(float* p, const Quad& quad) {
    *reinterpret_cast<float4*>(p) = make_float4(quad.value[0], quad.value[1], quad.value[2], quad.value[3]);
  }
  static __device__ uint2 narrow(const Quad& quad) {
    const __nv_bfloat162 low = __floats2bfloat162_rn(quad.value[0], quad.value[1]),
                         high = __floats2bfloat162_rn(quad.value[2], quad.value[3]);
    return {reinterpret_cast<const unsigned&>(low), reinterpret_cast<const unsigned&>(high)};
  }
  static __device__ void store(__nv_bfloat16* p, const Quad& quad) {
    *reinterpret_cast<uint2*>(p) = narrow(quad);
  }
  static __device__ float load_one(const float* p) { return __ldg(p); }
  static __device__ float load_one(const __nv_bfloat16* p) { return __bfloat162float(__ldg(p)); }
  static __device__ void store_one(float* p, float value) { *p = value; }
  static __device__ void store_one(__nv_bfloat16* p, float value) { *p = __float2bfloat16_rn(value); }
  // The fast forms: a few units in the last place of float32, where results are bf16 more often than not.
  // Without the steps around them that numbers below 1e-38 would need.
  static __device__ float exp(float z) {
    float e;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(z * 1.44269504F));
    return e;
  }
  static __device__ float quotient(float a, float b) {
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(b));
    return a * r;
  }
  static __device__ float rsqrt(float z) {
    float r;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(z));
    return r;
  }
  static __device__ Direction direction(float turns) {
    Direction of;
    sincospif(2 * turns, &of.sin, &of.cos);
    return of;
  }

  // Sums and maxima over the `lanes` threads of a group, a power of two from 4 to kMost, in place; all of the
  // group call it. Each thread gets the same bits.
  template <int kMost>
  class GroupOf {
   public:
    explicit __device__ GroupOf(int lanes)
        : lanes_(lanes),
          mask_(lanes < 32 ? ((1u << lanes) - 1) << (threadIdx.x % 32 / lanes * lanes) : 0xffffffffu) {}

    template <int N>
    __device__ void sum(float (&values)[N]) {
      combine(values, [](float a, float b) { return a + b; });
    }
    __device__ float max(float value) {
      float values[1] = {value};
      combine(values, [](float a, float b) { return fmaxf(a, b); });
      return values[0];
    }

    // Sums over the groups of a block, in place, for the threads of the first; all of the block call it.
    template <int N>
    __device__ void add_groups(float (&values)[N]) const {
      __shared__ float of_all[N][kThreads];
      if (of_block() == 1) return;
#pragma unroll
      for (int n = 0; n < N; ++n) of_all[n][threadIdx.x] = values[n];
      __syncthreads();
      if (is_first()) {
        for (int other = threadIdx.x + lanes_; other < kThreads; other += lanes_) {
#pragma unroll
          for (int n = 0; n < N; ++n) values[n] += of_all[n][other];
        }
      }
      __syncthreads();
    }
    __device__ bool is_first() const { return threadIdx.x < lanes_; }
    __device__ int of_block() const { return blockDim.x / lanes_; }

   private:
    template <int N, class Merge>
    __device__ void combine(float (&values)[N], const Merge& merge) {
#pragma unroll
      for (int step = 1; step < 32; step *= 2) {
#pragma unroll
        for (int n = 0; n < N; ++n) {
          const float other = __shfl_xor_sync(mask_, values[n], step < lanes_ ? step : 0);
          if (step < lanes_) values[n] = merge(values[n], other);
        }
      }
      if (lanes_ > 32) combine_warps(values, merge);
    }

    // One barrier a call: the next one writes to the other half.
    template <int N, class Merge>
    __device__ void combine_warps(float (&values)[N], const Merge& merge) {
      __shared__ float slots[2][kMost / 32][4];
      static_assert(N <= 4);
      const int warps = lanes_ / 32, warp = threadIdx.x / 32, group = warp / warps, lane = threadIdx.x % 32;
      half_ ^= 1;
      if (lane == 0) {
#pragma unroll
        for (int n = 0; n < N; ++n) slots[half_][warp][n] = values[n];
      }
      asm volatile("bar.sync %0, %1;" ::"r"(1 + group), "r"(lanes_) : "memory");
#pragma unroll
      for (int n = 0; n < N; ++n) {
        values[n] = slots[half_][group * warps + lane % warps][n];
        for (int step = 1; step < warps; step *= 2)
          values[n] = merge(values[n], __shfl_xor_sync(0xffffffffu, values[n], step));
      }
    }

    int lanes_, half_ = 0;
    unsigned mask_;
  };
  using Group = GroupOf<512>;
};

}  // namespace mdnlab::ops::cuda
