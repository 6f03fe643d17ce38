// What adjoints.cuh is told, its shared memory, and the warps that fill it.
#pragma once

#include "scan/cuda/coefficients.cuh"
#include "scan/cuda/problem.h"
#include "scan/cuda/short_range.cuh"
#include "scan/cuda/sm90.cuh"
#include "scan/cuda/tail.cuh"

namespace mdnlab::scan::cuda {

template <class T>
struct AdjointArguments {
  CUtensorMap q, k;                              // (K,G,tokens), boxes of 64 columns, one head, 64 tokens
  CUtensorMap d_o, d_r, v;                       // (V,H,tokens): d_r with delta, v without
  const float *log_alpha, *log_mu, *beta, *eta;  // (tokens,H), null as in scan::Inputs
  float look_ahead;
  const Chunk* chunk;
  Sizes sizes;
  const T *states, *d_states;  // of the scans: X and dX⁺
  const T* residuals;          // wᵀ, with delta
  T *d_q, *d_k;                // (tokens,G,K)
  float* partial;  // [parts][blocks][64][threads]: d_q and d_k of the value heads so far; unused where H is G
  GateTerms* terms;  // [chunks·H][parts]: what a part's columns add to each
};

// The n-th chunk and head of a block. The value heads of a key head follow each other, so that one block sums
// what they add to its adjoints, and reads q and k once for all of them.
struct Item {
  int chunk, head, key_head;
  bool is_first, is_last;   // of the value heads
  int parity, keys_parity;  // of the barriers of items, and of those of key heads
};

__device__ inline bool has_item(const Sizes& sizes, int n, Item& item) {
  const int shared = sizes.heads / sizes.key_heads, outer = blockIdx.x + n / shared * gridDim.x;
  item.parity = n & 1;
  item.keys_parity = n / shared & 1;
  item.chunk = outer / sizes.key_heads;
  item.key_head = outer % sizes.key_heads;
  item.head = item.key_head * shared + n % shared;
  item.is_first = n % shared == 0;
  item.is_last = n % shared == shared - 1;
  return item.chunk < sizes.chunks;
}

constexpr int kTokenSlots = 2, kStateSlots = 3;
constexpr int kSlice = 32;  // value rows of a slot of states

// Of dL and dA, in each warp: what they are scaled by on their way through f16.
template <class T>
struct LargestWithin {};
template <>
struct LargestWithin<__half> {
  float largest[8];
  std::uint64_t largest_full;
};

template <class T, int K, bool has_delta, bool has_momentum>
struct AdjointTiles {
  static constexpr int width = adjoint_width(K), parts = adjoint_parts(K);
  static constexpr int groups = width / kPanel, halves = has_momentum ? 2 : 1;
  __device__ static int part() { return parts == 1 ? 0 : blockIdx.y; }
  struct Keys {
    alignas(1024) T q[groups][kPanelElements];
    T k[groups][kPanelElements];
  } keys;
  alignas(1024) T d_L[kPanelElements];
  T d_A[kPanelElements];
  struct Tokens {  // 64 tokens × 64 values, and with delta wᵀ, 64 values × 64 tokens
    alignas(1024) T d_o[kPanelElements];
    T other[kPanelElements];  // dr, or v
    T w[has_delta ? kPanelElements : 512];
  } tokens[kTokenSlots];
  struct States {  // of 64 key columns
    alignas(1024) T x[halves][kSlice * kPanel];
    T d_x[halves][kSlice * kPanel];
  } states[kStateSlots][groups];
  Gamma gamma;
  alignas(16) Coefficients coefficients;
  float rows[groups][6][kChunk];
  float sums[3][4 * groups];
  std::uint64_t keys_full, keys_empty, tokens_full[kTokenSlots], tokens_empty[kTokenSlots];
  std::uint64_t states_full[kStateSlots], states_empty[kStateSlots], keys_landed, tokens_landed;
  std::uint64_t gates_full, gates_empty;
};
template <class T, int K, bool has_delta, bool has_momentum>
struct AdjointShared : AdjointTiles<T, K, has_delta, has_momentum>, LargestWithin<T> {};

// Where a thread stands in a ring of `slots`.
template <int slots>
struct Ring {
  int turn = 0;
  __device__ int slot() const { return turn % slots; }
  __device__ int parity() const { return turn / slots & 1; }
  __device__ bool is_used() const { return turn >= slots; }
};

// Both elements of a pair at row t, column 8n + 2(lane mod 4) of a panel.
template <class T>
__device__ inline std::uint32_t pair_at(const T* panel, int t, int n, int lane) {
  return *reinterpret_cast<const std::uint32_t*>(panel + t * kPanel + (n ^ (t & 7)) * 8 + 2 * (lane % 4));
}

// The sum over groups of `lanes` neighbours, in each of them.
template <int lanes>
__device__ inline float sum_of(float x) {
#pragma unroll
  for (int distance = 1; distance < lanes; distance *= 2) x += __shfl_xor_sync(~0u, x, distance);
  return x;
}

// One warp brings the gates of the item after this one, for Γ.
template <class T, class Shared>
__device__ inline void bring_gates(const AdjointArguments<T>& in, Shared& shared) {
  const int lane = threadIdx.x % 32;
  Item item;
  for (int n = 0; has_item(in.sizes, n, item); ++n) {
    const Chunk chunk = in.chunk[item.chunk];
    if (n > 0) wait(&shared.gates_empty, (n - 1) & 1);
#pragma unroll
    for (int part = 0; part < kWarpgroup / 32; ++part)
      load_gates(shared.gamma, in, chunk, item.head, 32 * part + lane);
    arrive(&shared.gates_full);
  }
}

// One of three warps: each brings its kind of tile, so that none waits for room for another's.
template <class T, int K, bool has_delta, bool has_momentum, class Shared>
__device__ inline void bring_operands(const AdjointArguments<T>& in, Shared& shared, int kind) {
  constexpr int kGroups = Shared::groups, kHalves = Shared::halves;
  const int tiles = in.sizes.value_width / kPanel, lane = threadIdx.x % 32;
  Ring<kTokenSlots> tokens_ring;
  Ring<kStateSlots> states_ring;
  Landing landing{kind == 0 ? &shared.keys_landed : &shared.tokens_landed};
  constexpr int kAllGroups = Shared::parts * kGroups;
  const int first_group = Shared::part() * kGroups;
  Item item;
  for (int n = 0; has_item(in.sizes, n, item); ++n) {
    const Chunk chunk = in.chunk[item.chunk];
    const std::int64_t index = in.sizes.entry(item.chunk, item.head);
    if (kind == 0) {
      if (!item.is_first) continue;
      if (n > 0) wait(&shared.keys_empty, item.keys_parity ^ 1);
      bring(&shared.keys_full, landing, sizeof(shared.keys), shared.keys.q, 2 * kGroups, chunk.rows,
            [&](std::uint64_t* barrier) {
              for (int panel = 0; panel < kGroups; ++panel) {
                copy_panel(shared.keys.q[panel], in.q, (first_group + panel) * kPanel, item.key_head,
                           chunk.token, barrier);
                copy_panel(shared.keys.k[panel], in.k, (first_group + panel) * kPanel, item.key_head,
                           chunk.token, barrier);
              }
            });
    } else if (kind == 1) {
      for (int i = 0; i < 2 * tiles; ++i, ++tokens_ring.turn) {
        const int slot = tokens_ring.slot(), tile = i % tiles;
        auto& tokens = shared.tokens[slot];
        if (tokens_ring.is_used()) wait(&shared.tokens_empty[slot], tokens_ring.parity() ^ 1);
        bring(&shared.tokens_full[slot], landing, sizeof(T) * kPanelElements * (has_delta ? 3 : 2),
              tokens.d_o, 2, chunk.rows, [&](std::uint64_t* barrier) {
                copy_panel(tokens.d_o, in.d_o, tile * kPanel, item.head, chunk.token, barrier);
                copy_panel(tokens.other, has_delta ? in.d_r : in.v, tile * kPanel, item.head, chunk.token,
                           barrier);
                if constexpr (has_delta) {
                  copy_bytes(tokens.w, in.residuals + (index * tiles + tile) * kPanelElements,
                             sizeof(T) * kPanelElements, barrier);
                }
              });
      }
    } else if (lane == 0) {
      for (int i = 0; i < tiles * (kPanel / kSlice); ++i, ++states_ring.turn) {
        const int slot = states_ring.slot();
        if (states_ring.is_used()) wait(&shared.states_empty[slot], states_ring.parity() ^ 1);
        arrive_expecting(&shared.states_full[slot], sizeof(shared.states[slot]));
        const std::int64_t tile =
            (index * tiles + i / (kPanel / kSlice)) * kHalves * kAllGroups * kPanelElements +
            i % (kPanel / kSlice) * kSlice * kPanel;
        for (int group = 0; group < kGroups; ++group) {
          auto& states = shared.states[slot][group];
          for (int half = 0; half < kHalves; ++half) {
            const std::int64_t panel = tile + (half * kAllGroups + first_group + group) * kPanelElements;
            copy_bytes(states.x[half], in.states + panel, sizeof(states.x[half]), &shared.states_full[slot]);
            copy_bytes(states.d_x[half], in.d_states + panel, sizeof(states.d_x[half]),
                       &shared.states_full[slot]);
          }
        }
      }
    }
  }
}

}  // namespace mdnlab::scan::cuda
