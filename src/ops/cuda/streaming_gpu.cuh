// What the convolutions' threads need beyond gpu.cuh: numbers on their way through shared memory, and sums
// over a head.
#pragma once

#include "ops/cuda/gpu.cuh"

namespace mdnlab::ops::cuda {

struct StreamingGpu : Gpu {
  // Without a branch, which would keep the next token's instructions from going between this one's.
  static __device__ void store_if(bool there, float* p, const Quad& quad) {
    asm volatile(
        "{\n"
        ".reg .pred there;\n"
        "setp.ne.b32 there, %0, 0;\n"
        "@there st.global.v4.f32 [%1], {%2, %3, %4, %5};\n"
        "}"
        :
        : "r"(static_cast<int>(there)), "l"(p), "f"(quad.value[0]), "f"(quad.value[1]), "f"(quad.value[2]),
          "f"(quad.value[3])
        : "memory");
  }
  static __device__ void store_if(bool there, __nv_bfloat16* p, const Quad& quad) {
    const uint2 bits = narrow(quad);
    asm volatile(
        "{\n"
        ".reg .pred there;\n"
        "setp.ne.b32 there, %0, 0;\n"
        "@there st.global.v2.b32 [%1], {%2, %3};\n"
        "}"
        :
        : "r"(static_cast<int>(there)), "l"(p), "r"(bits.x), "r"(bits.y)
        : "memory");
  }

  // The next kStep tokens' numbers come while this step's are used: a thread reads what it asked for itself,
  // so that nothing but its own copies is waited for.
  template <class T, int kStreams>
  class Ahead {
    using Bits = Fetched<Gpu, T>;

   public:
    static constexpr int kBytes = 2 * kStep * kStreams * kThreads * static_cast<int>(sizeof(Bits));

    // ask(j, n) asks for the n-th token, a step's j-th, of each stream.
    template <class Ask>
    __device__ void first_step(const Ask& ask) {
#pragma unroll
      for (int j = 0; j < kStep; ++j) ask(j, j);
      asm volatile("cp.async.commit_group;" ::: "memory");
    }
    template <class Ask>
    __device__ void next_step(const Ask& ask) {
      asked_ += kStep;
#pragma unroll
      for (int j = 0; j < kStep; ++j) ask(j, asked_ + j);
      asm volatile("cp.async.commit_group;\n cp.async.wait_group 1;" ::: "memory");
    }
    // Four numbers; zeros where the token is not there.
    __device__ void ask(int stream, int j, const T* p, bool there) {
      const auto slot = static_cast<unsigned>(__cvta_generic_to_shared(&of(asked_, stream, j)));
      asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(slot), "l"(p), "n"(sizeof(Bits)),
                   "r"(there ? static_cast<int>(sizeof(Bits)) : 0)
                   : "memory");
    }
    // This step's j-th token.
    __device__ Quad take(int stream, int j) const { return widen(of(asked_ + kStep, stream, j)); }

   private:
    static __device__ Bits& of(int step, int stream, int j) {
      extern __shared__ uint4 slots[];
      const int half = step / kStep % 2;
      return reinterpret_cast<Bits*>(
          slots)[((half * kStreams + stream) * kStep + j) * kThreads + threadIdx.x];
    }

    int asked_ = 0;
  };

  // Sums over the kLanes threads of a head, 16, 32 or 64, in place: the same bits in each. All threads of the
  // warp, or of both, call it.
  template <int kLanes>
  class Head {
   public:
    // First each thread hands half of its N values to its neighbour for the other half of the neighbour's,
    // until it has one; that it adds over the others who have the same; then all collect all.
    template <int N>
    __device__ void sum(float (&values)[N]) {
      const int lane = threadIdx.x % 32;
#pragma unroll
      for (int step = 1; step < N; step *= 2) {
        const int half = N / 2 / step;
        const bool upper = lane & step;
#pragma unroll
        for (int n = 0; n < half; ++n) {
          const float give = upper ? values[n] : values[n + half],
                      keep = upper ? values[n + half] : values[n];
          values[n] = keep + __shfl_xor_sync(~0U, give, step);
        }
      }
      float one = values[0];
#pragma unroll
      for (int step = N; step < kLanes && step < 32; step *= 2) one += __shfl_xor_sync(~0U, one, step);
      if constexpr (kLanes <= 32) {
#pragma unroll
        for (int n = 0; n < N; ++n) values[n] = __shfl_sync(~0U, one, holder<N>(n), N);
      } else {
        add_warps(values, one);
      }
    }

   private:
    // The thread among N neighbours that is left with value n: n's bits the other way round.
    template <int N>
    static constexpr __device__ int holder(int n) {
      int lane = 0;
      for (int step = 1; step < N; step *= 2) lane = lane * 2 + (n / step) % 2;
      return lane;
    }

    // One barrier a sum: the next one writes to the other half.
    template <int N>
    __device__ void add_warps(float (&values)[N], float one) {
      constexpr int kWarps = kLanes / 32;
      __shared__ float slots[2][kThreads / 32][8];
      static_assert(N <= 8);
      const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first = warp / kWarps * kWarps;
      half_ ^= 1;
      if (lane < N) slots[half_][warp][lane] = one;
      asm volatile("bar.sync %0, %1;" ::"r"(1 + first), "n"(kLanes) : "memory");
#pragma unroll
      for (int n = 0; n < N; ++n) {
        values[n] = 0;
#pragma unroll
        for (int other = 0; other < kWarps; ++other) values[n] += slots[half_][first + other][holder<N>(n)];
      }
    }

    int half_ = 0;
  };
};

}  // namespace mdnlab::ops::cuda
