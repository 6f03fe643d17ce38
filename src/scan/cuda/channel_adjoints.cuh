// The second half of the backward pass within each chunk and head with channel-wise decay: from the sums over
// values (channel_products.cuh) dQ, dK, d log α and dβ,
//
//     dq_t = query_t + β_t dL_tt k_t      h_t = write_t + dL_tt q_t
//     dk_t = key_t + β_t h_t              dβ_t = ⟨h_t, k_t⟩
//
// with the sums of channel_chains.cuh. A pair j < t contributes x_tj = β_j a_{j→t}∘k_j∘(dL_tj q_t + dA_tj
// k_t) to d log α_s for j < s ≤ t and no other s; what passes through the state, ā_C∘Σ_v X∘dX⁺ and the first
// terms of those sums, likewise. So d log α_s is what passes through s. It is gathered level by level, parts
// of a chunk that lie before s by parts that lie after, and nothing is subtracted: the digits are there where
// α is e⁻²⁰.
//
// A warp takes a slice of 16 channels of all tokens and needs no other: four warps a block, three blocks a
// multiprocessor, so that some load while others compute. A block takes a chunk and a key head, slice by
// slice, and for each slice the value heads one after the other; what their sums dQ and dK have so far lies
// in shared memory.
#pragma once

#include "scan/cuda/channel_chains.cuh"
#include "scan/cuda/channel_products.cuh"

namespace mdnlab::scan::cuda {

template <class T, int K>
struct ChannelAdjointArguments {
  ChannelInputs<T> in;
  const ChannelProducts<T, K>* products;  // [chunks·H][parts]
  T *d_q, *d_k;                           // (tokens,G,K)
  float *d_log_alpha, *d_beta;            // (tokens,H,K), (tokens,H), null: not wanted
};

constexpr int kSliceWarps = 4;

template <class T, int K>
struct ChannelAdjointShared {
  alignas(128) T within_out[kPanelElements];  // dL
  T within_read[kPanelElements];              // dA
  ChannelSlice slice[kSliceWarps];
  float beta[kChunk], diagonal[kChunk];  // of L's adjoint
  float d_beta[2][kSliceWarps][kChunk];  // of the last two steps
  std::uint64_t loaded;
};
// dQ and dK of a slice, of the value heads so far.
struct SliceSums {
  float4 query[kOctets][32], key[kOctets][32];
};
// Where value heads share a key head.
template <class T, int K>
struct GroupedAdjointShared : ChannelAdjointShared<T, K> {
  SliceSums so_far[kSliceWarps];
};

template <class T>
__device__ inline float element_of(const T* panel, int t, int j) {
  return Element<T>::low(
      *reinterpret_cast<const std::uint16_t*>(panel + t * kPanel + (j / 8 ^ (t & 7)) * 8 + j % 8));
}

// The pairs of two channels at the two tokens of the lane's pair, of each octet of a quarter, of three
// matrices.
struct QuarterWords {
  std::uint32_t word[3][2][2];
};
template <class Products>
__device__ inline void load_words(QuarterWords& words, const Products& products, int quarter, int pair,
                                  OctetLane at) {
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    const int t = 2 * at.place + e;  // of an octet
    const int in_panel = (kQuarter * quarter + t) * kPanel + (pair % 32 / 4 ^ t) * 8 + pair % 4 * 2;
    const int place = pair / 32 * kPanelElements + in_panel;
#pragma unroll
    for (int o = 0; o < 2; ++o) {
      const auto load = [&](const auto* panels) {
        return *reinterpret_cast<const std::uint32_t*>(panels + place + o * kOctet * kPanel);
      };
      words.word[0][o][e] = load(products.out);
      words.word[1][o][e] = load(products.read);
      words.word[2][o][e] = load(products.write);
    }
  }
}
template <class T>
__device__ inline void widen(float (&x)[4], const std::uint32_t (&words)[2]) {
  x[0] = Element<T>::low(words[0]);
  x[1] = Element<T>::low(words[1]);
  x[2] = Element<T>::high(words[0]);
  x[3] = Element<T>::high(words[1]);
}

// Σ over the slice's channels for the quarter's tokens, x of octet o and token e of a pair, each to one lane.
__device__ inline void lay_sums(float (&x)[2][2], float* to, OctetLane at) {
  const auto halved = [&](float a, float b, int distance) {
    const bool second = at.lane & distance;
    return (second ? b : a) + __shfl_xor_sync(~0u, second ? a : b, distance);
  };
  const float first = halved(x[0][0], x[1][0], 4), second = halved(x[0][1], x[1][1], 4);
  float sum = halved(first, second, 8);
  sum += __shfl_xor_sync(~0u, sum, 16);
  if (at.row < 4) to[at.row % 2 * kOctet + 2 * at.place + at.row / 2] = sum;
}

// The octet's part of dQ and dK of one value head, of `turns` that share them, and after the last into
// memory.
template <class T, int K>
__device__ inline void add_turn(const ChannelAdjointArguments<T, K>& arguments, float (&d_q)[4],
                                float (&d_k)[4], SliceSums& so_far, Chunk chunk, int turn, int turns,
                                int octet, int pair, OctetLane at) {
  const auto add = [](float(&x)[4], float4 y) {
    x[0] += y.x;
    x[1] += y.y;
    x[2] += y.z;
    x[3] += y.w;
  };
  if (turn > 0) {
    add(d_q, so_far.query[octet][at.lane]);
    add(d_k, so_far.key[octet][at.lane]);
  }
  if (turn < turns - 1) {
    so_far.query[octet][at.lane] = {d_q[0], d_q[1], d_q[2], d_q[3]};
    so_far.key[octet][at.lane] = {d_k[0], d_k[1], d_k[2], d_k[3]};
    return;
  }
  const int G = arguments.in.sizes.key_heads, bytes = G * K * sizeof(T);
  const std::int64_t first = (std::int64_t{chunk.token} * G + blockIdx.y) * K + 2 * pair;
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    const int row = kOctet * octet + 2 * at.place + e;
    if (row >= chunk.rows) continue;
    const auto store = [&](T* to, const float(&x)[4]) {
      *reinterpret_cast<std::uint32_t*>(row_at(to + first, row, bytes)) = Element<T>::pack(x[e], x[2 + e]);
    };
    store(arguments.d_q, d_q);
    store(arguments.d_k, d_k);
  }
}

// d log α of the slice: what passes through whole quarters comes to the rest. `own_pair`: in `products`.
template <class T, int K>
__device__ inline void store_gates(const ChannelAdjointArguments<T, K>& arguments, const ChannelSlice& slice,
                                   const float2 (&through)[kQuarters], const ChannelProducts<T, K>& products,
                                   Chunk chunk, int head, int pair, int own_pair, OctetLane at) {
  float2 kept = reinterpret_cast<const float2*>(products.keep)[own_pair];
#pragma unroll
  for (int i = 0; i < kQuarters; ++i) kept *= slice.total[i][at.row];
  const int H = arguments.in.sizes.heads, bytes = H * K * sizeof(float);
  float* const first = arguments.d_log_alpha + (std::int64_t{chunk.token} * H + head) * K + 2 * pair;
#pragma unroll
  for (int quarter = 0; quarter < kQuarters; ++quarter) {
    const float2 passing = kept + octet_sum(through[quarter]);
#pragma unroll
    for (int o = 0; o < 2; ++o) {
      const int octet = 2 * quarter + o, row = kOctet * octet + 2 * at.place;
      const float4 gate = slice.alpha[octet][at.lane];
      const auto store = [&](int row, float2 x) {
        if (row < chunk.rows) *reinterpret_cast<float2*>(row_at(first, row, bytes)) = x;
      };
      store(row, passing + float2{gate.x, gate.z});
      store(row + 1, passing + float2{gate.y, gate.w});
    }
  }
}

// Grid (chunks, G).
template <class T, int K>
__global__ __launch_bounds__(32 * kSliceWarps, 3) void channel_adjoints(
    const __grid_constant__ ChannelAdjointArguments<T, K> arguments) {
  using Shared = ChannelAdjointShared<T, K>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  const ChannelInputs<T>& in = arguments.in;
  const int thread = threadIdx.x, warp = thread / 32;
  const OctetLane at(thread % 32);
  const int H = in.sizes.heads, G = in.sizes.key_heads, turns = H / G;
  const Chunk chunk = in.chunk[blockIdx.x];
  ChannelSlice& slice = shared.slice[warp];
  SliceSums& so_far = static_cast<GroupedAdjointShared<T, K>&>(shared).so_far[warp];
  const WithinTiles within{shared_address(shared.within_out), shared_address(shared.within_read), at};
  const float2* const betas = reinterpret_cast<const float2*>(shared.beta);
  const float2* const diagonals = reinterpret_cast<const float2*>(shared.diagonal);
  if (thread == 0) {
    init_barrier(&shared.loaded, 1);
    fence_barrier_init();
  }
  int parity = 0;
#pragma unroll 1
  for (int step = 0; step < K / kSliceChannels / kSliceWarps * turns; ++step) {
    const int turn = step % turns, head = blockIdx.y * turns + turn,
              pair = 8 * (step / turns * kSliceWarps + warp) + at.row;
    const unsigned entry = blockIdx.x * in.sizes.heads + head;  // in 32 bits: two registers fewer
    const int part = adjoint_parts(K) == 1 ? 0 : pair / (adjoint_width(K) / 2),
              own_pair = pair - part * (adjoint_width(K) / 2);
    const ChannelProducts<T, K>& products = arguments.products[entry * adjoint_parts(K) + part];
    const bool is_other_head = turns > 1 || step == 0;
    if (is_other_head) {
      __syncthreads();  // nobody reads what belongs to the head before
      if (thread == 0) {
        constexpr int bytes = sizeof(shared.within_out) + sizeof(shared.within_read);
        arrive_expecting(&shared.loaded, bytes);
        copy_bytes(shared.within_out, products.within_out, bytes, &shared.loaded);
      }
      if (thread < kChunk) shared.beta[thread] = load_beta(in, chunk, head, thread);
      __syncthreads();
    }
    QuarterWords words;
    load_words(words, products, 0, own_pair, at);
    SliceInputs inputs;
    load_slice<T, K>(inputs, in, chunk, head, pair, at);
    lay_slice<T>(slice, inputs, betas, at);
    if (is_other_head) {
      wait(&shared.loaded, parity);
      parity ^= 1;
      if (thread < kChunk) shared.diagonal[thread] = element_of(shared.within_out, thread, thread);
      __syncthreads();
    }

    float2 through[kQuarters] = {};
#pragma unroll 1
    for (int quarter = 0; quarter < kQuarters; ++quarter) {
      QuarterSums sums;
#pragma unroll
      for (int o = 0; o < 2; ++o) {
        widen<T>(sums.query[o], words.word[0][o]);
        widen<T>(sums.key[o], words.word[1][o]);
        widen<T>(sums.write[o], words.word[2][o]);
      }
      if (quarter < kQuarters - 1) load_words(words, products, quarter + 1, own_pair, at);
      const OctetDecay decay[2] = {{slice.alpha[2 * quarter][at.lane], at},
                                   {slice.alpha[2 * quarter + 1][at.lane], at}};
      QuarterShare share;
#pragma unroll
      for (int o = 0; o < 2; ++o) {
        const int octet = 2 * quarter + o;
        set_octet(share, o, decay[o],
                  PairKeys::of<T>(slice.keys[octet][at.lane], betas[4 * octet + at.place]));
      }
      add_quarters<T>(sums, share, decay, through, slice, within, quarter);
      float2 octet_gate[2];
      float d_beta[2][2];
#pragma unroll
      for (int o = 0; o < 2; ++o) {
        const int octet = 2 * quarter + o;
        std::uint32_t tile[4], transposed[4];
        load_matrices(within.of_octets(quarter, o), tile);
        load_matrices_transposed(within.of_octets(quarter, o), transposed);
        if (o == 0) add_octets<T>(sums, share, decay, octet_gate, tile, transposed);
        const PairKeys keys = PairKeys::of<T>(slice.keys[octet][at.lane], betas[4 * octet + at.place]);
        const float2 diagonal = diagonals[4 * octet + at.place];
        float gate[4] = {octet_gate[o].x, octet_gate[o].x, octet_gate[o].y, octet_gate[o].y};
        float(&d_q)[4] = sums.query[o], (&d_k)[4] = sums.key[o], (&write)[4] = sums.write[o];
        add_octet<T>(d_q, d_k, write, share, o, decay[o], keys, gate, at, tile, transposed);
        slice.alpha[octet][at.lane] = {gate[0], gate[1], gate[2], gate[3]};
        d_beta[o][0] = d_beta[o][1] = 0;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float beta = i % 2 ? keys.beta.y : keys.beta.x, own = i % 2 ? diagonal.y : diagonal.x,
                      whole = write[i] + own * keys.q[i];
          d_q[i] += beta * own * keys.k[i];
          d_k[i] += beta * whole;
          d_beta[o][i % 2] += keys.k[i] * whole;
        }
        add_turn<T, K>(arguments, d_q, d_k, so_far, chunk, turn, turns, octet, pair, at);
      }
      lay_sums(d_beta, shared.d_beta[step % 2][warp] + kQuarter * quarter, at);
    }
    if (arguments.d_log_alpha)
      store_gates<T, K>(arguments, slice, through, products, chunk, head, pair, own_pair, at);
    __syncthreads();
    if (arguments.d_beta && thread < chunk.rows) {
      float& to = arguments.d_beta[std::int64_t{chunk.token + thread} * H + head];
      float sum = step < turns ? 0 : to;  // of the slices before, by this thread
      for (int part = 0; part < kSliceWarps; ++part) sum += shared.d_beta[step % 2][part][thread];
      to = sum;
    }
  }
}

}  // namespace mdnlab::scan::cuda
