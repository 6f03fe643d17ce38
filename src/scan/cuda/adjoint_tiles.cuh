// What adjoints.cuh is told, its shared memory, and the warps that fill it.
#pragma once

#include "scan/cuda/coefficients.cuh"
#include "scan/cuda/problem.h"
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
  T *d_q, *d_k;                // (tokens,G,K), when every key head has one value head
  float *head_d_q, *head_d_k;  // (tokens,H,K) to be summed over the value heads of a key head; else null
  GateTerms* terms;            // [H·chunks]
};

constexpr int kTokenSlots = 2, kStateSlots = 3;
constexpr int kSlice = 32;  // value rows of a slot of states

template <class T, int K, bool has_delta, bool has_momentum>
struct AdjointShared {
  static constexpr int groups = K / kPanel, halves = has_momentum ? 2 : 1;
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
  std::uint64_t states_full[kStateSlots], states_empty[kStateSlots], keys_repair, tokens_repair;
};

// Where a thread stands in a ring of `slots`.
template <int slots>
struct Ring {
  int turn = 0;
  __device__ int slot() const { return turn % slots; }
  __device__ int parity() const { return turn / slots & 1; }
  __device__ bool is_used() const { return turn >= slots; }
};

// One of three warps: each brings its kind of tile, so that none waits for room for another's.
template <class T, int K, bool has_delta, bool has_momentum, class Shared>
__device__ inline void bring_operands(const AdjointArguments<T>& in, Shared& shared, int kind) {
  constexpr int kGroups = Shared::groups, kHalves = Shared::halves;
  const int H = in.sizes.heads, tiles = in.sizes.value_width / kPanel, lane = threadIdx.x % 32;
  Ring<kTokenSlots> tokens_ring;
  Ring<kStateSlots> states_ring;
  Repair repair{kind == 0 ? &shared.keys_repair : &shared.tokens_repair};
  int keys_parity = 1;
  for (int item = blockIdx.x; item < in.sizes.chunks * H; item += gridDim.x, keys_parity ^= 1) {
    const int head = item % H, key_head = head / (H / in.sizes.key_heads);
    const Chunk chunk = in.chunk[item / H];
    const std::int64_t index = std::int64_t{head} * in.sizes.chunks + item / H;
    if (kind == 0) {
      if (item != blockIdx.x) wait(&shared.keys_empty, keys_parity);
      bring(&shared.keys_full, repair, sizeof(shared.keys), shared.keys.q, 2 * kGroups, chunk.rows,
            [&](std::uint64_t* barrier) {
              for (int panel = 0; panel < kGroups; ++panel) {
                copy_panel(shared.keys.q[panel], in.q, panel * kPanel, key_head, chunk.token, barrier);
                copy_panel(shared.keys.k[panel], in.k, panel * kPanel, key_head, chunk.token, barrier);
              }
            });
    } else if (kind == 1) {
      for (int i = 0; i < 2 * tiles; ++i, ++tokens_ring.turn) {
        const int slot = tokens_ring.slot(), tile = i % tiles;
        auto& tokens = shared.tokens[slot];
        if (tokens_ring.is_used()) wait(&shared.tokens_empty[slot], tokens_ring.parity() ^ 1);
        bring(&shared.tokens_full[slot], repair, sizeof(T) * kPanelElements * (has_delta ? 3 : 2), tokens.d_o,
              2, chunk.rows, [&](std::uint64_t* barrier) {
                copy_panel(tokens.d_o, in.d_o, tile * kPanel, head, chunk.token, barrier);
                copy_panel(tokens.other, has_delta ? in.d_r : in.v, tile * kPanel, head, chunk.token,
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
            (index * tiles + i / (kPanel / kSlice)) * kHalves * kGroups * kPanelElements +
            i % (kPanel / kSlice) * kSlice * kPanel;
        for (int group = 0; group < kGroups; ++group) {
          auto& states = shared.states[slot][group];
          for (int half = 0; half < kHalves; ++half) {
            const std::int64_t panel = tile + (half * kGroups + group) * kPanelElements;
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
