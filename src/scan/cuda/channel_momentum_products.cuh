// What channel_products.cuh makes of a chunk and head, with momentum:
//
//     dL = lower(dO wᵀ)      dA = −strictly lower(dr wᵀ)      X = S, M:      dO Xᵀ      dr Xᵀ      w dX⁺ᵀ
//
// leave it as dL∘η(G + ωR), dA∘ηG⁻ and, with both halves of the state as one, dQ̂, dD and dΨ: what
// channel_adjoints.cuh then takes for kda's with β = 1. For gate_adjoints.cuh, which sees a rule without
// decay, there are the sums along the tiles.
//
// A block goes through chunks and heads. A warpgroup takes 64 key columns of S and M; the first makes dL
// before, the last dA. The warps of one more bring the chunk's tiles, whose places its products take, the
// tokens' (twice: for dL and dA, then for the others), the states, and the gates.
#pragma once

#include "scan/cuda/channel_operands.cuh"
#include "scan/cuda/channel_products.cuh"
#include "scan/cuda/channel_share.cuh"

namespace mdnlab::scan::cuda {

template <class T, int K>
struct ChannelMomentumProductArguments {
  CUtensorMap d_o, d_r;  // (V,H,tokens), boxes of 64 columns, one head, 64 tokens
  const Chunk* chunk;
  Sizes sizes;
  HeadGates gates;
  bool has_delta;                          // without: dA and dD are 0
  const T *states, *d_states, *residuals;  // of the scans: X, dX⁺ and wᵀ
  const ChannelOperands<T, K>* operands;   // [chunks·H]
  const ChannelPairs<T>* pairs;            // likewise
  ChannelProducts<T, K>* products;         // [chunks·H][parts]
  GateTerms* terms;                        // likewise; query_S, key_S and S_S, which α alone asks for, are 0
};

template <class T, int K>
struct ChannelMomentumProductShared {
  static constexpr int groups = adjoint_width(K) / kPanel;
  // At first ChannelPairs, Q̂, D, Ψ and ā_C.
  alignas(1024) ChannelProducts<T, K> tiles;
  float rows[groups][4][kChunk];
  float sums[2][4 * groups];
  struct Tokens {  // 64 tokens × 64 values, and wᵀ, 64 values × 64 tokens
    alignas(1024) T d_o[kPanelElements];
    T d_r[kPanelElements];
    T w[kPanelElements];
  } tokens[kTokenSlots];
  struct States {  // of 64 key columns: S, M
    alignas(1024) T x[2][kSlice * kPanel];
    T d_x[2][kSlice * kPanel];
  } states[kStateSlots][groups];
  Gamma gamma;
  alignas(16) Coefficients coefficients;
  std::uint64_t tiles_full, tiles_empty, tokens_full[kTokenSlots], tokens_empty[kTokenSlots];
  std::uint64_t states_full[kStateSlots], states_empty[kStateSlots], gates_full, gates_empty, tokens_landed;
};

// dL from the product dO wᵀ, or dA from dr wᵀ, in the place of the chunk's pairs, and in `terms` what they
// are along these: of all keys, so that the first part says it for each.
template <class T, int K>
__device__ inline void put_within(float (&d)[32], bool is_out,
                                  const ChannelMomentumProductArguments<T, K>& in,
                                  ChannelMomentumProductShared<T, K>& shared, const TileScales<T>& scales,
                                  GateTerms& terms, int warp, int lane) {
  T* const panel = is_out ? shared.tiles.within_out : shared.tiles.within_read;
  const bool is_first = own_part<K>() == 0;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int t = 16 * warp + lane / 4 + 8 * h;
    const GammaRow row(shared.gamma, in.gates.look_ahead, t);
    const float of_pairs = scales.pair_row(t);
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const std::uint32_t scores = pair_at(panel, t, n, lane);
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int j = 8 * n + 2 * (lane % 4) + e, i = 4 * n + 2 * h + e;
        const float score =
            (e == 0 ? Element<T>::low(scores) : Element<T>::high(scores)) * (j < t ? of_pairs : 1.0f);
        const auto [out, before] = row[j];
        if (is_out) {
          if (j <= t) terms.within[t][j] = is_first ? d[i] * score : 0.0f;
          d[i] = j <= t ? d[i] * (out * shared.gamma.eta[j]) : 0.0f;
        } else {
          if (j < t) terms.within[j][t] = is_first ? -d[i] * score : 0.0f;
          d[i] = in.has_delta && j < t ? -d[i] * (before * shared.gamma.eta[j]) : 0.0f;
        }
      }
    }
  }
  __syncwarp();  // a warp's rows are read
  lay_fragment(d, panel, warp, lane);
}

template <class T, int K>
__device__ inline void make_momentum_products(const ChannelMomentumProductArguments<T, K>& in,
                                              ChannelMomentumProductShared<T, K>& shared) {
  constexpr int kGroups = ChannelMomentumProductShared<T, K>::groups, kThreads = kGroups * kWarpgroup,
                kWithin = 2 / kGroups;
  const int thread = threadIdx.x % kWarpgroup, warp = thread / 32, lane = thread % 32,
            group = threadIdx.x / kWarpgroup;
  const int tiles = in.sizes.value_width / kPanel;
  const T* const element = nullptr;
  const Coefficients& of = shared.coefficients;
  Ring<kTokenSlots> tokens_ring;
  Ring<kStateSlots> states_ring;
  Item item;
  for (int turn = 0; has_item(in.sizes, turn, item); ++turn) {
    const std::int64_t index = in.sizes.entry(item.chunk, item.head);
    const std::int64_t entry = index * adjoint_parts(K) + own_part<K>();
    GateTerms& terms = in.terms[entry];
    if (threadIdx.x == 0 && turn > 0) {
      wait_stores_read();  // the products before have left shared memory
      arrive(&shared.tiles_empty);
    }
    if (group == 0) {
      wait(&shared.gates_full, turn & 1);
      coefficients(shared.gamma, shared.coefficients, in.gates.look_ahead, thread,
                   [] { sync(2, kWarpgroup); });
    }
    {
      float within[kWithin][32] = {};
      for (int tile = 0; tile < tiles; ++tile, ++tokens_ring.turn) {
        auto& tokens = shared.tokens[tokens_ring.slot()];
        wait(&shared.tokens_full[tokens_ring.slot()], tokens_ring.parity());
        const std::uint64_t d_o = operand<Major::k>(shared_address(tokens.d_o)),
                            d_r = operand<Major::k>(shared_address(tokens.d_r)),
                            w = operand<Major::mn>(shared_address(tokens.w));
        const std::uint64_t of_within[2] = {group == 0 ? d_o : d_r, d_r};
#pragma unroll
        for (int i = 0; i < kWithin; ++i) fence_fragment(within[i]);
        begin_products();
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
          for (int j = 0; j < kWithin; ++j) {
            product<Major::k, Major::mn>(within[j], element, of_within[j] + step<Major::k>(i),
                                         w + step<Major::mn>(i), true);
          }
        }
        commit_products();
        wait_products<0>();
#pragma unroll
        for (int i = 0; i < kWithin; ++i) fence_fragment(within[i]);
        arrive(&shared.tokens_empty[tokens_ring.slot()]);
      }
      wait(&shared.tiles_full, turn & 1);
      sync(1, kThreads);  // Γ is there
      put_within<T, K>(within[0], group == 0, in, shared, in.operands[index], terms, warp, lane);
      if constexpr (kWithin == 2)
        put_within<T, K>(within[1], false, in, shared, in.operands[index], terms, warp, lane);
      arrive(&shared.gates_empty);
    }

    // dO X, dr X and w dX⁺ for 64 columns of S, then of M; and what dX⁺ is along X, for this thread's eight
    // channels and for the coefficients.
    const int piece = warp + lane % 2 * 4;
    const float* const decay = shared.tiles.keep + group * kPanel + 8 * piece;
    float out[64] = {}, read[64] = {}, write[64] = {}, keep[8] = {}, S_M = 0, M_M = 0;
    for (int tile = 0; tile < tiles; ++tile, ++tokens_ring.turn) {
      auto& tokens = shared.tokens[tokens_ring.slot()];
      wait(&shared.tokens_full[tokens_ring.slot()], tokens_ring.parity());
      const std::uint64_t d_o = operand<Major::k>(shared_address(tokens.d_o)),
                          d_r = operand<Major::k>(shared_address(tokens.d_r)),
                          w = operand<Major::mn>(shared_address(tokens.w));
#pragma unroll
      for (int slice = 0; slice < kPanel / kSlice; ++slice, ++states_ring.turn) {
        auto& states = shared.states[states_ring.slot()][group];
        wait(&shared.states_full[states_ring.slot()], states_ring.parity());
        const std::uint64_t x = operand<Major::mn>(shared_address(states.x), kSlice * kRowBytes),
                            d_x = operand<Major::mn>(shared_address(states.d_x), kSlice * kRowBytes);
        fence_fragment(out);
        fence_fragment(read);
        fence_fragment(write);
        begin_products();
#pragma unroll
        for (int i = 0; i < kSlice / 16; ++i) {
          const int at = slice * (kSlice / 16) + i;
          product<Major::k, Major::mn>(out, element, d_o + step<Major::k>(at), x + step<Major::mn>(i), true);
          product<Major::k, Major::mn>(read, element, d_r + step<Major::k>(at), x + step<Major::mn>(i), true);
          product<Major::mn, Major::mn>(write, element, w + step<Major::mn>(at), d_x + step<Major::mn>(i),
                                        true);
        }
        commit_products();
#pragma unroll
        for (int row = lane / 2; row < kSlice; row += 16) {
          const int at = (row * 8 + (piece ^ (row & 7))) * 8;
#pragma unroll
          for (int i = 0; i < 8; i += 2) {
            const auto both = [&](const T* rows) {
              return widened<T>(*reinterpret_cast<const std::uint32_t*>(rows + at + i));
            };
            const float2 S = both(states.x[0]), M = both(states.x[1]), d_S = both(states.d_x[0]),
                         d_M = both(states.d_x[1]), M_dS = M * d_S, M_dM = M * d_M,
                         a = *reinterpret_cast<const float2*>(decay + i);
            keep[i] += S.x * d_S.x - of.cross * M_dS.x + of.keep_M * M_dM.x;
            keep[i + 1] += S.y * d_S.y - of.cross * M_dS.y + of.keep_M * M_dM.y;
            S_M += a.x * M_dS.x + a.y * M_dS.y;
            M_M += a.x * M_dM.x + a.y * M_dM.y;
          }
        }
        wait_products<0>();
        fence_fragment(out);
        fence_fragment(read);
        fence_fragment(write);
        arrive(&shared.states_empty[states_ring.slot()]);
      }
      arrive(&shared.tokens_empty[tokens_ring.slot()]);
    }

    // Rows along Q̂, D and Ψ, for the gates; then the rows' factors, and both halves as one.
    auto& shared_tiles = shared.tiles;
    T *const query = shared_tiles.out + group * kPanelElements,
             *const key = shared_tiles.read + group * kPanelElements,
             *const writer = shared_tiles.write + group * kPanelElements;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int t = 16 * warp + lane / 4 + 8 * h;
      const float out_M = of.out_M[t], read_M = of.read_M[t], write_S = of.write_S[t],
                  write_M = of.write_M[t];
      float sum[4] = {};
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const float2 q = widened<T>(pair_at(query, t, n, lane)), k = widened<T>(pair_at(key, t, n, lane)),
                     psi = widened<T>(pair_at(writer, t, n, lane));
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int i = 4 * n + 2 * h + e;
          sum[0] += out[32 + i] * (e == 0 ? q.x : q.y);
          sum[1] += read[32 + i] * (e == 0 ? k.x : k.y);
          sum[2] += write[i] * (e == 0 ? psi.x : psi.y);
          sum[3] += write[32 + i] * (e == 0 ? psi.x : psi.y);
          out[i] -= out_M * out[32 + i];
          read[i] = in.has_delta ? read_M * read[32 + i] - read[i] : 0.0f;
          write[i] = write_S * write[i] - write_M * write[32 + i];
        }
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float whole = sum_of<4>(sum[i]);
        if (lane % 4 == 0) shared.rows[group][i][t] = whole;
      }
    }
    __syncwarp();  // a warp's rows are read
    lay_fragment(reinterpret_cast<float(&)[32]>(out), query, warp, lane);
    lay_fragment(reinterpret_cast<float(&)[32]>(read), key, warp, lane);
    lay_fragment(reinterpret_cast<float(&)[32]>(write), writer, warp, lane);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
#pragma unroll
      for (int distance = 2; distance < 32; distance *= 2) keep[i] += __shfl_xor_sync(~0u, keep[i], distance);
      if (lane < 2) shared.tiles.keep[group * kPanel + 8 * piece + i] = keep[i];
    }
    S_M = sum_of<32>(S_M);
    M_M = sum_of<32>(M_M);
    if (lane == 0) {
      shared.sums[0][4 * group + warp] = S_M;
      shared.sums[1][4 * group + warp] = M_M;
    }
    fence_shared();
    sync(1, kThreads);
    if (threadIdx.x == 0) store_bytes(in.products + entry, &shared.tiles, sizeof(shared.tiles));
    if (group > 0) continue;
    for (int i = thread; i < kChunk; i += kWarpgroup) {
      float sum[4] = {};
#pragma unroll
      for (int part = 0; part < kGroups; ++part) {
#pragma unroll
        for (int row = 0; row < 4; ++row) sum[row] += shared.rows[part][row][i];
      }
      const auto& operands = in.operands[index];
      const float read = operands.of_read().down(), write = operands.write_row(i);
      terms.query_S[i] = terms.key_S[i] = 0;
      terms.query_M[i] = read * sum[0];
      terms.key_M[i] = read * sum[1];
      terms.write_S[i] = write * sum[2];
      terms.write_M[i] = write * sum[3];
    }
    if (thread < 2) {
      float sum = 0;
      for (int part = 0; part < 4 * kGroups; ++part) sum += shared.sums[thread][part];
      (thread == 0 ? terms.S_M : terms.M_M) = sum;
    } else if (thread == 2) {
      terms.S_S = 0;
    }
  }
  if (threadIdx.x == 0) wait_stores_read();
}

// One of four warps: each brings its kind, so that none waits for room for another's.
template <class T, int K>
__device__ inline void bring_momentum_operands(const ChannelMomentumProductArguments<T, K>& in,
                                               ChannelMomentumProductShared<T, K>& shared, int kind) {
  constexpr int kGroups = ChannelMomentumProductShared<T, K>::groups, kSlices = kPanel / kSlice,
                kAllGroups = K / kPanel;
  const int tiles = in.sizes.value_width / kPanel, lane = threadIdx.x % 32,
            first_group = own_part<K>() * kGroups;
  Ring<kTokenSlots> tokens_ring;
  Ring<kStateSlots> states_ring;
  Landing landing{&shared.tokens_landed};
  Item item;
  for (int turn = 0; has_item(in.sizes, turn, item); ++turn) {
    const Chunk chunk = in.chunk[item.chunk];
    const std::int64_t index = in.sizes.entry(item.chunk, item.head);
    if (kind == 0 && lane == 0) {
      if (turn > 0) wait(&shared.tiles_empty, (turn - 1) & 1);
      const auto& operands = in.operands[index];
      arrive_expecting(&shared.tiles_full, sizeof(shared.tiles));
      copy_bytes(shared.tiles.within_out, &in.pairs[index], sizeof(ChannelPairs<T>), &shared.tiles_full);
      const int first = first_group * kPanelElements;
      copy_bytes(shared.tiles.out, operands.out + first, sizeof(shared.tiles.out), &shared.tiles_full);
      copy_bytes(shared.tiles.read, operands.read + first, sizeof(shared.tiles.read), &shared.tiles_full);
      copy_bytes(shared.tiles.write, operands.write + first, sizeof(shared.tiles.write), &shared.tiles_full);
      copy_bytes(shared.tiles.keep, operands.keep + first_group * kPanel, sizeof(shared.tiles.keep),
                 &shared.tiles_full);
    } else if (kind == 1) {
      for (int i = 0; i < 2 * tiles; ++i, ++tokens_ring.turn) {
        const int slot = tokens_ring.slot(), tile = i % tiles;
        auto& tokens = shared.tokens[slot];
        if (tokens_ring.is_used()) wait(&shared.tokens_empty[slot], tokens_ring.parity() ^ 1);
        bring(&shared.tokens_full[slot], landing, sizeof(tokens), tokens.d_o, 2, chunk.rows,
              [&](std::uint64_t* barrier) {
                copy_panel(tokens.d_o, in.d_o, tile * kPanel, item.head, chunk.token, barrier);
                copy_panel(tokens.d_r, in.d_r, tile * kPanel, item.head, chunk.token, barrier);
                copy_bytes(tokens.w, in.residuals + (index * tiles + tile) * kPanelElements, sizeof(tokens.w),
                           barrier);
              });
      }
    } else if (kind == 2 && lane == 0) {
      for (int i = 0; i < tiles * kSlices; ++i, ++states_ring.turn) {
        const int slot = states_ring.slot();
        if (states_ring.is_used()) wait(&shared.states_empty[slot], states_ring.parity() ^ 1);
        arrive_expecting(&shared.states_full[slot], sizeof(shared.states[slot]));
        const std::int64_t slice =
            (index * tiles + i / kSlices) * 2 * kChunk * K + i % kSlices * kSlice * kPanel;
        for (int panel = 0; panel < 2 * kGroups; ++panel) {
          auto& states = shared.states[slot][panel % kGroups];
          const int half = panel / kGroups;
          const std::int64_t at =
              slice + (half * kAllGroups + first_group + panel % kGroups) * kPanelElements;
          copy_bytes(states.x[half], in.states + at, sizeof(states.x[half]), &shared.states_full[slot]);
          copy_bytes(states.d_x[half], in.d_states + at, sizeof(states.d_x[half]), &shared.states_full[slot]);
        }
      }
    } else if (kind == 3) {
      if (turn > 0) wait(&shared.gates_empty, (turn - 1) & 1);
#pragma unroll
      for (int part = 0; part < kWarpgroup / 32; ++part)
        load_gates(shared.gamma, in.gates, chunk, item.head, 32 * part + lane);
      arrive(&shared.gates_full);
    }
  }
}

// (groups + 1)·128 threads; as many blocks as there are multiprocessors, or chunks and key heads, shared out
// by the parts of the keys, the grid's second dimension.
template <class T, int K>
__global__ __launch_bounds__(3 * kWarpgroup, 1) void channel_momentum_products(
    const __grid_constant__ ChannelMomentumProductArguments<T, K> in) {
  using Shared = ChannelMomentumProductShared<T, K>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  constexpr int kThreads = Shared::groups * kWarpgroup;
  if (threadIdx.x == 0) {
    init_barrier(&shared.tiles_full, 1);
    init_barrier(&shared.tiles_empty, 1);
    for (int i = 0; i < kTokenSlots; ++i) {
      init_barrier(&shared.tokens_full[i], 32);
      init_barrier(&shared.tokens_empty[i], kThreads);
    }
    for (int i = 0; i < kStateSlots; ++i) {
      init_barrier(&shared.states_full[i], 1);
      init_barrier(&shared.states_empty[i], kThreads);
    }
    init_barrier(&shared.tokens_landed, 1);
    init_barrier(&shared.gates_full, 32);
    init_barrier(&shared.gates_empty, kThreads);
    fence_barrier_init();
  }
  __syncthreads();
  if (threadIdx.x < kThreads) {
    raise_registers<232>();
    make_momentum_products(in, shared);
  } else {
    lower_registers<40>();
    bring_momentum_operands(in, shared, threadIdx.x % kWarpgroup / 32);
  }
}

}  // namespace mdnlab::scan::cuda
