// Every row is read and written once; between its sum and its use it stays in registers. As many runs as the
// GPU has room for go over the rows side by side.
#include <algorithm>

#include "ops/cuda/gpu.cuh"
#include "ops/cuda/kernels.h"
#include "ops/cuda/norm_run.cuh"

namespace mdnlab::ops::cuda {

namespace {

// A thread's quads of a row. Where a row leaves much in registers fewer of them make room for more threads,
// which wait for memory while others compute.
constexpr int quads_of(Gating gating, bool backward) {
  return backward && gating == Gating::silu_first ? 2 : 4;
}

// Threads of a row: that the compiler knows them spares a dozen registers of each.
int lanes_of(int N, int quads) {
  int lanes = 8;
  while (lanes * quads * kChannels < N) lanes *= 2;
  return lanes;
}
constexpr int threads_of_block(int lanes) { return lanes > kThreads ? lanes : kThreads; }

// Blocks of a multiprocessor: what the registers are cut to, and how many runs there are.
constexpr int blocks_of(int lanes, Gating gating, bool is_f32, bool backward) {
  const bool has_half = quads_of(gating, backward) == 2;
  const bool has_much =
      has_half ? is_f32 : gating == Gating::silu_first || (gating != Gating::none && is_f32);
  return ((backward && !has_half ? 3 : 4) - has_much) * kThreads / threads_of_block(lanes);
}

template <Gating kGating, int kLanes, class X, class Y, bool kBackward>
__global__ void __launch_bounds__(threads_of_block(kLanes),
                                  std::max(1, blocks_of(kLanes, kGating, sizeof(Y) == 4, kBackward)))
    norm_kernel(const __grid_constant__ Norm in) {
  const std::int64_t run =
      static_cast<std::int64_t>(blockIdx.x) * (threads_of_block(kLanes) / kLanes) + threadIdx.x / kLanes;
  NormRun<kGating, quads_of(kGating, kBackward), X, Y, Gpu> share(
      in, run, static_cast<int>(threadIdx.x % kLanes), kLanes);
  if constexpr (kBackward) {
    share.backward();
  } else {
    share.forward();
  }
}

template <bool kBackward, Gating kGating, class X, class Y>
cudaError_t with_width(const Norm& in, cudaStream_t stream) {
  constexpr int kQuads = quads_of(kGating, kBackward);
  const int lanes = lanes_of(in.N, kQuads), threads = threads_of_block(lanes);
  const auto launch = [&](auto kernel) {
    kernel<<<static_cast<unsigned>(in.runs * lanes / threads), threads, 0, stream>>>(in);
    return cudaGetLastError();
  };
  if constexpr (kQuads == 2) {
    if (lanes == 512) return launch(norm_kernel<kGating, 512, X, Y, kBackward>);
  }
  switch (lanes) {
    case 8: return launch(norm_kernel<kGating, 8, X, Y, kBackward>);
    case 16: return launch(norm_kernel<kGating, 16, X, Y, kBackward>);
    case 32: return launch(norm_kernel<kGating, 32, X, Y, kBackward>);
    case 64: return launch(norm_kernel<kGating, 64, X, Y, kBackward>);
    case 128: return launch(norm_kernel<kGating, 128, X, Y, kBackward>);
    case 256: return launch(norm_kernel<kGating, 256, X, Y, kBackward>);
    default: return cudaErrorInvalidValue;
  }
}

template <bool kBackward, class T>
cudaError_t with_gating(const Norm& in, cudaStream_t stream) {
  switch (in.gating) {
    case Gating::none: return with_width<kBackward, Gating::none, T, T>(in, stream);
    case Gating::silu: return with_width<kBackward, Gating::silu, T, T>(in, stream);
    case Gating::sigmoid: return with_width<kBackward, Gating::sigmoid, T, T>(in, stream);
    case Gating::silu_first: return with_width<kBackward, Gating::silu_first, T, T>(in, stream);
  }
  return cudaErrorInvalidValue;
}

template <bool kBackward>
cudaError_t with_elements(const Norm& in, Element X, Element Y, cudaStream_t stream) {
  if (X == Y) {
    return X == Element::bf16 ? with_gating<kBackward, __nv_bfloat16>(in, stream)
                              : with_gating<kBackward, float>(in, stream);
  }
  return X == Element::f32 && in.gating == Gating::none
             ? with_width<kBackward, Gating::none, float, __nv_bfloat16>(in, stream)
             : cudaErrorInvalidValue;
}

}  // namespace

NormSplit split_of(const Norm& in, Element Y, bool backward, int multiprocessors) {
  const int lanes = lanes_of(in.N, quads_of(in.gating, backward)), threads = threads_of_block(lanes),
            groups = threads / lanes;
  const int at_once = std::max(1, blocks_of(lanes, in.gating, Y == Element::f32, backward));
  const std::int64_t blocks =
      std::min<std::int64_t>((in.rows + groups - 1) / groups, std::int64_t{multiprocessors} * at_once);
  return {.runs = blocks * groups, .shares = blocks};
}

cudaError_t norm(const Norm& problem, Element X, Element Y, cudaStream_t stream) {
  return with_elements<false>(problem, X, Y, stream);
}

cudaError_t norm_backward(const Norm& problem, Element X, Element Y, cudaStream_t stream) {
  return with_elements<true>(problem, X, Y, stream);
}

}  // namespace mdnlab::ops::cuda
