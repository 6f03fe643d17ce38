// Where several value heads read one key head, the adjoint of q or k is the sum over them, in their order.
#pragma once

#include "scan/cuda/problem.h"
#include "scan/cuda/sm90.cuh"

namespace mdnlab::scan::cuda {

// of_head (tokens,H,K) → sum (tokens,G,K): a thread takes two columns of a token's key head, of `pairs` in
// all.
template <class T>
__global__ void sum_heads(const float* of_head, T* sum, std::int64_t pairs, int heads_of_key, int key_width) {
  const std::int64_t pair = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (pair >= pairs) return;
  const std::int64_t key_head = 2 * pair / key_width, column = 2 * pair % key_width;
  float2 total{};
  for (int head = 0; head < heads_of_key; ++head) {
    const float2 x =
        *reinterpret_cast<const float2*>(of_head + (key_head * heads_of_key + head) * key_width + column);
    total.x += x.x;
    total.y += x.y;
  }
  *reinterpret_cast<std::uint32_t*>(sum + 2 * pair) = Element<T>::pack(total.x, total.y);
}

}  // namespace mdnlab::scan::cuda
