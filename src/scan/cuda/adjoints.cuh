// Everything in the backward pass that is summed over the values, for each chunk and head by itself
// (recurrences.md, section 3): dQ, dK, and the sums from which gate_adjoints.cuh makes the gates' adjoints.
//
//     dL = dO wᵀ      dA = −dr wᵀ      dQ̂ = dO Xᵀ      dD = −dr Xᵀ      dΨ = w dX⁺ᵀ
//
// A block goes through chunks and heads. A warpgroup takes 64 key columns of S and M, so that all six
// products with the state, 64×64 each, stay in its registers; the first makes dL before, the last dA. The
// warps of one more warpgroup bring the tokens' tiles (twice: for dL and dA, then for the others), the
// states, q and k, and the gates.
#pragma once

#include <type_traits>

#include "scan/cuda/adjoint_tiles.cuh"
#include "scan/cuda/triangle_adjoints.cuh"

namespace mdnlab::scan::cuda {

// sum += ⟨a, b⟩ over eight elements.
template <class T>
__device__ inline void add_product(float& sum, const uint4& a, const uint4& b) {
  const std::uint32_t x[4] = {a.x, a.y, a.z, a.w}, y[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    sum += Element<T>::low(x[i]) * Element<T>::low(y[i]);
    sum += Element<T>::high(x[i]) * Element<T>::high(y[i]);
  }
}

// What a thread has of d_q and d_k so far, where it keeps no sums, goes to global memory, whence it comes
// back soon, and to the same thread.
__device__ inline float* partial_of(float* partial, int i) {
  const int threads = blockDim.x - kWarpgroup, block = blockIdx.y * gridDim.x + blockIdx.x;
  return partial + (std::int64_t{block} * 64 + i) * threads + threadIdx.x;
}
__device__ inline void add_partial(float (&d_q)[32], float (&d_k)[32], float* partial) {
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    d_q[i] += *partial_of(partial, i);
    d_k[i] += *partial_of(partial, 32 + i);
  }
}
__device__ inline void store_partial(const float (&d_q)[32], const float (&d_k)[32], float* partial) {
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    *partial_of(partial, i) = d_q[i];
    *partial_of(partial, 32 + i) = d_k[i];
  }
}

// A 64×64 result, rounded, to tokens `stride` elements apart by way of the panel `staged`, which nobody else
// uses: a warp's 16 rows leave in whole pieces.
template <class T>
__device__ inline void store_rows(const float (&d)[32], T* staged, T* to, std::int64_t stride, int rows,
                                  int warp, int lane) {
  lay_fragment(d, staged, warp, lane);
  __syncwarp();
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int t = 16 * warp + 4 * i + lane / 8, piece = lane % 8;
    if (t >= rows) continue;
    *reinterpret_cast<uint4*>(to + t * stride + 8 * piece) =
        *reinterpret_cast<const uint4*>(staged + t * kPanel + (piece ^ (t & 7)) * 8);
  }
}

template <class T, int K, bool has_delta, bool has_momentum, class Shared>
__device__ inline void make_adjoints(const AdjointArguments<T>& in, Shared& shared) {
  constexpr Major kW = has_delta ? Major::mn : Major::k;
  constexpr int kGroups = Shared::groups, kThreads = kGroups * kWarpgroup, kWidth = 32 * Shared::halves;
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32,
            group = threadIdx.x / kWarpgroup;
  const int tiles = in.sizes.value_width / kPanel;
  const T* const element = nullptr;
  Ring<kTokenSlots> tokens_ring;
  Ring<kStateSlots> states_ring;
  constexpr bool kKeeps = keeps_sums(has_delta, has_momentum);
  float sum_q[kKeeps ? 32 : 1], sum_k[kKeeps ? 32 : 1];  // over the value heads so far
  Item item;
  for (int turn = 0; has_item(in.sizes, turn, item); ++turn) {
    const Chunk chunk = in.chunk[item.chunk];
    const std::int64_t index = in.sizes.entry(item.chunk, item.head);
    GateTerms& terms = in.terms[index * Shared::parts + Shared::part()];
    if (group == 0) {
      wait(&shared.gates_full, item.parity);
      coefficients(shared.gamma, shared.coefficients, in.look_ahead, thread, [] { sync(2, kWarpgroup); });
    }
    Scale scale;
    if (group == 0) {
      scale = within_chunk<T, has_delta, Share{.L = true, .A = has_delta && kGroups == 1}>(
          in, shared, tokens_ring, item, terms, warp, lane);
    } else {
      scale = within_chunk<T, has_delta, Share{.L = false, .A = has_delta}>(in, shared, tokens_ring, item,
                                                                            terms, warp, lane);
    }

    // dO X, dr X and w dX⁺ for 64 columns of S, then of M; and what the states' adjoints are along the
    // states.
    float d_q_hat[kWidth] = {}, d_d[has_delta ? kWidth : 1] = {}, d_psi[kWidth] = {}, S_S = 0, S_M = 0,
          M_M = 0;
    for (int tile = 0; tile < tiles; ++tile, ++tokens_ring.turn) {
      auto& tokens = shared.tokens[tokens_ring.slot()];
      wait(&shared.tokens_full[tokens_ring.slot()], tokens_ring.parity());
      const std::uint64_t d_o = operand<Major::k>(shared_address(tokens.d_o)),
                          d_r = operand<Major::k>(shared_address(tokens.other)),
                          w = operand<kW>(shared_address(has_delta ? tokens.w : tokens.other));
#pragma unroll
      for (int slice = 0; slice < kPanel / kSlice; ++slice, ++states_ring.turn) {
        auto& states = shared.states[states_ring.slot()][group];
        wait(&shared.states_full[states_ring.slot()], states_ring.parity());
        const std::uint64_t x = operand<Major::mn>(shared_address(states.x), kSlice * kRowBytes),
                            d_x = operand<Major::mn>(shared_address(states.d_x), kSlice * kRowBytes);
        fence_fragment(d_q_hat);
        if constexpr (has_delta) fence_fragment(d_d);
        fence_fragment(d_psi);
        begin_products();
#pragma unroll
        for (int i = 0; i < kSlice / 16; ++i) {
          const int at = slice * (kSlice / 16) + i;
          product<Major::k, Major::mn>(d_q_hat, element, d_o + step<Major::k>(at), x + step<Major::mn>(i),
                                       true);
          if constexpr (has_delta) {
            product<Major::k, Major::mn>(d_d, element, d_r + step<Major::k>(at), x + step<Major::mn>(i),
                                         true);
          }
          product<kW, Major::mn>(d_psi, element, w + step<kW>(at), d_x + step<Major::mn>(i), true);
        }
        commit_products();
#pragma unroll
        for (int piece = thread; piece < kSlice * kRowBytes / 16; piece += kWarpgroup) {
          const uint4 S = reinterpret_cast<const uint4*>(states.x[0])[piece],
                      d_S = reinterpret_cast<const uint4*>(states.d_x[0])[piece];
          add_product<T>(S_S, S, d_S);
          if constexpr (has_momentum) {
            const uint4 M = reinterpret_cast<const uint4*>(states.x[1])[piece],
                        d_M = reinterpret_cast<const uint4*>(states.d_x[1])[piece];
            add_product<T>(S_M, M, d_S);
            add_product<T>(M_M, M, d_M);
          }
        }
        wait_products<0>();
        fence_fragment(d_q_hat);
        if constexpr (has_delta) fence_fragment(d_d);
        fence_fragment(d_psi);
        arrive(&shared.states_empty[states_ring.slot()]);
      }
      arrive(&shared.tokens_empty[tokens_ring.slot()]);
    }

    // Rows along q and k, for the gates; then the rows' factors, and both halves as one.
    wait(&shared.keys_full, item.keys_parity);
    auto& d_q = *reinterpret_cast<float(*)[32]>(kKeeps ? sum_q : d_q_hat);
    auto& d_k = *reinterpret_cast<float(*)[32]>(kKeeps ? sum_k : d_psi);
    const Coefficients& of = shared.coefficients;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int t = 16 * warp + lane / 4 + 8 * h;
      float sum[6] = {};
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const std::uint32_t q_pair = pair_at(shared.keys.q[group], t, n, lane),
                            k_pair = pair_at(shared.keys.k[group], t, n, lane);
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int i = 4 * n + 2 * h + e;
          const float q = e == 0 ? Element<T>::low(q_pair) : Element<T>::high(q_pair),
                      k = e == 0 ? Element<T>::low(k_pair) : Element<T>::high(k_pair);
          sum[0] += d_q_hat[i] * q;
          sum[4] += d_psi[i] * k;
          d_q_hat[i] *= of.out_S[t];
          d_psi[i] *= of.write_S[t];
          if constexpr (has_delta) {
            sum[2] += d_d[i] * k;
            d_k[i] -= of.read_S[t] * d_d[i];
          }
          if constexpr (has_momentum) {
            sum[1] += d_q_hat[32 + i] * q;
            sum[5] += d_psi[32 + i] * k;
            d_q[i] -= of.out_M[t] * d_q_hat[32 + i];
            d_k[i] -= of.write_M[t] * d_psi[32 + i];
            if constexpr (has_delta) {
              sum[3] += d_d[32 + i] * k;
              d_k[i] += of.read_M[t] * d_d[32 + i];
            }
          }
        }
      }
#pragma unroll
      for (int i = 0; i < 6; ++i) {
        const float whole = sum_of<4>(sum[i]);
        if (lane % 4 == 0) shared.rows[group][i][t] = whole;
      }
    }
    if constexpr (kKeeps) {
#pragma unroll
      for (int i = 0; i < 32; ++i) {
        d_q[i] = item.is_first ? d_q_hat[i] : d_q[i] + d_q_hat[i];
        d_k[i] = item.is_first ? d_psi[i] : d_k[i] + d_psi[i];
      }
    }
    const float along[3] = {S_S, S_M, M_M};
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      const float whole = sum_of<32>(along[i]);
      if (lane == 0) shared.sums[i][4 * group + warp] = whole;
    }
    sync(1, kThreads);  // dL and dA are there as well

    const std::uint64_t q = operand<Major::mn>(shared_address(shared.keys.q[group])),
                        k = operand<Major::mn>(shared_address(shared.keys.k[group]));
    const std::uint32_t d_L = shared_address(shared.d_L), d_A = shared_address(shared.d_A);
    if constexpr (has_short_range<T>) {
#pragma unroll
      for (int i = 0; i < 32; ++i) d_q[i] *= scale.up, d_k[i] *= scale.up;
    }
    fence_fragment(d_q);
    fence_fragment(d_k);
    begin_products();
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      product<Major::k, Major::mn>(d_q, element, operand<Major::k>(d_L) + step<Major::k>(i),
                                   k + step<Major::mn>(i), true);
      product<Major::mn, Major::mn>(d_k, element, operand<Major::mn>(d_L) + step<Major::mn>(i),
                                    q + step<Major::mn>(i), true);
      if constexpr (has_delta) {
        product<Major::k, Major::mn>(d_k, element, operand<Major::k>(d_A) + step<Major::k>(i),
                                     k + step<Major::mn>(i), true);
        product<Major::mn, Major::mn>(d_k, element, operand<Major::mn>(d_A) + step<Major::mn>(i),
                                      k + step<Major::mn>(i), true);
      }
    }
    commit_products();
    if (group == 0) {
      for (int i = thread; i < 6 * kChunk; i += kWarpgroup) {
        float sum = 0;
        for (int part = 0; part < kGroups; ++part) sum += shared.rows[part][i / kChunk][i % kChunk];
        (&terms.query_S[0])[i] = sum;
      }
      if (thread < 3) {
        float sum = 0;
        for (int part = 0; part < 4 * kGroups; ++part) sum += shared.sums[thread][part];
        (&terms.S_S)[thread] = sum;
      }
    }
    wait_products<0>();
    fence_fragment(d_q);
    fence_fragment(d_k);
    scale_down<T>(d_q, scale);
    scale_down<T>(d_k, scale);
    if (!kKeeps && !item.is_first) add_partial(d_q, d_k, in.partial);
    if (!item.is_last) {
      if (!kKeeps) store_partial(d_q, d_k, in.partial);
    } else {
      const std::int64_t stride = std::int64_t{in.sizes.key_heads} * K,
                         at = chunk.token * stride + item.key_head * K + Shared::part() * Shared::width +
                              kPanel * group;
      sync(2 + group, kWarpgroup);  // every warp of this group has done with its columns of q and k
      store_rows(d_q, shared.keys.q[group], in.d_q + at, stride, chunk.rows, warp, lane);
      store_rows(d_k, shared.keys.k[group], in.d_k + at, stride, chunk.rows, warp, lane);
      fence_shared();
      arrive(&shared.keys_empty);
    }
  }
}

// (groups + 1)·128 threads; grid (blocks, parts), as many as there are multiprocessors, or chunks and key
// heads.
template <class T, int K, bool has_delta, bool has_momentum>
__global__ __launch_bounds__(3 * kWarpgroup,
                             1) void adjoints(const __grid_constant__ AdjointArguments<T> in) {
  using Shared = AdjointShared<T, K, has_delta, has_momentum>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  constexpr int kThreads = Shared::groups * kWarpgroup;
  if (threadIdx.x == 0) {
    init_barrier(&shared.keys_full, 32);
    init_barrier(&shared.keys_empty, kThreads);
    for (int i = 0; i < kTokenSlots; ++i) {
      init_barrier(&shared.tokens_full[i], 32);
      init_barrier(&shared.tokens_empty[i], kThreads);
    }
    for (int i = 0; i < kStateSlots; ++i) {
      init_barrier(&shared.states_full[i], 1);
      init_barrier(&shared.states_empty[i], kThreads);
    }
    init_barrier(&shared.keys_landed, 1);
    init_barrier(&shared.tokens_landed, 1);
    init_barrier(&shared.gates_full, 32);
    init_barrier(&shared.gates_empty, kThreads);
    if constexpr (has_short_range<T>) init_barrier(&shared.largest_full, kThreads);
    fence_barrier_init();
  }
  __syncthreads();
  if (threadIdx.x < kThreads) {
    raise_registers<Shared::groups == 1 ? 240 : 232>();
    make_adjoints<T, K, has_delta, has_momentum>(in, shared);
  } else {
    lower_registers<40>();
    const int kind = threadIdx.x % kWarpgroup / 32;
    if (kind < 3) {
      bring_operands<T, K, has_delta, has_momentum>(in, shared, kind);
    } else {
      bring_gates(in, shared);
    }
  }
}

}  // namespace mdnlab::scan::cuda
