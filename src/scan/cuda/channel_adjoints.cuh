// The second half of the backward pass within each chunk and head with channel-wise decay: from the sums over
// values (channel_products.cuh) dQ, dK, d log α and dβ. With m the middle of a level's pair of blocks
// (channel_share.cuh), f_t = a_{m→t} of a reader and f_j = a_{j→m} of a writer, at each level
//
//     y_t = f_t∘Σ_j dL_tj β_j f_j∘k_j      reader: dq_t += y_t, and with dA: dk_t += y'_t
//     h_j = f_j∘Σ_t (dL_tj f_t∘q_t + dA_tj f_t∘k_t)      writer: dk_j += β_j h_j, dβ_j += ⟨h_j, k_j⟩
//
// and to them what passes through the state: ā_t∘dQ̂_t, ā_t∘dD_t, a_{j→C}∘dΨ_j; and L's diagonal. A pair j < t
// contributes x_tj = β_j a_{j→t}∘k_j∘(dL_tj q_t + dA_tj k_t) to d log α_s for j < s ≤ t and no other s. So
//
//     d log α_s = ā_C∘Σ_v X∘dX⁺ + Σ_{t≥s} (q_t∘ā_t∘dQ̂_t + k_t∘ā_t∘dD_t) + Σ_{j<s} β_j k_j∘a_{j→C}∘dΨ_j
//               + Σ over levels: s in a later block: Σ_{t≥s of the block} (q_t∘y_t + k_t∘y'_t)
//                                s in an earlier:   Σ_{j<s of the block} β_j k_j∘h_j
//
// and nothing is subtracted: the digits are there where α is e⁻²⁰.
//
// A block of 2K threads takes a chunk and the value heads of a key head, one after the other. A warp has 16
// channels of all tokens to itself and needs no other: its lanes hold two channels of 16 tokens each.
#pragma once

#include "scan/cuda/channel_adjoint_tiles.cuh"
#include "scan/cuda/channel_products.cuh"

namespace mdnlab::scan::cuda {

template <class T, int K>
struct ChannelAdjointArguments {
  ChannelInputs<T> in;
  const ChannelProducts<T, K>* products;  // [H·chunks]
  T *d_q, *d_k;                           // (tokens,G,K)
  float *d_log_alpha, *d_beta;            // (tokens,H,K), (tokens,H), null: not wanted
};

// Adds to g the sums of x(i) over a block of tokens from each on, or before each, and returns the sum of all.
template <int size, class X>
__device__ inline float2 add_sums_onward(float2 (&g)[kQuarter], int first, X&& x) {
  float2 sum{};
#pragma unroll
  for (int i = first + size - 1; i >= first; --i) g[i] += sum += x(i);
  return sum;
}
template <int size, class X>
__device__ inline float2 add_sums_before(float2 (&g)[kQuarter], int first, X&& x) {
  float2 sum{};
#pragma unroll
  for (int i = first; i < first + size; ++i) {
    g[i] += sum;
    sum += x(i);
  }
  return sum;
}

__device__ inline float2 shuffled(float2 x, int lane) {
  return {__shfl_sync(~0u, x.x, lane), __shfl_sync(~0u, x.y, lane)};
}

// What a thread holds for its two channels of 16 tokens, and what it gathers.
template <class T>
struct Gathering {
  float2 alpha[kQuarter];
  std::uint32_t *q, *k;  // in shared memory, 8 apart
  const float* beta;
  float2 d_q[kQuarter], d_k[kQuarter], gate[kQuarter];
  float d_beta[kQuarter];

  __device__ float2 query(int i) const { return widened<T>(q[8 * i]); }
  __device__ float2 key(int i) const { return widened<T>(k[8 * i]); }
};

// The level's part of all sums. A warp by itself.
template <int log_h, class T, int K>
__device__ inline void add_level(Gathering<T>& of, ChannelAdjointShared<T, K>& shared, float2 between,
                                 int warp, int lane) {
  constexpr int h = 1 << log_h;
  const int quarter = lane / 8, column = 2 * (lane % 8);
  auto& operands = shared.operands[warp];
  auto& results = shared.results[warp];
  T* const own_operands = operands.at(first_row<h>(quarter)) + column;
  float* const own_results = results.at(first_row<h>(quarter)) + column;
  const auto lay = [&](int row, float2 x) {
    *reinterpret_cast<std::uint32_t*>(own_operands + LevelRows::offset(row)) = pack<T>(x);
  };
  const auto result = [&](int row) -> float2& {
    return *reinterpret_cast<float2*>(own_results + LevelRows::offset(row));
  };
  const auto row_of = [&](int i) { return level_row<h>(i); };
  forget_products(of.alpha);
  for_each_factor<h>(
      of.alpha, quarter, between,
      [&](int i, float2 f) {
        lay(row_of(i), f * of.query(i));
        lay(kLevelRows + row_of(i), f * of.key(i));
      },
      [&](int i, float2 f) { lay(2 * kLevelRows + row_of(i), of.beta[i] * (f * of.key(i))); });
  __syncwarp();
  multiply_level<log_h>(shared, operands, results, lane);
  __syncwarp();
  forget_products(of.alpha);
  // What a token adds to the gates' sums takes the place of its results.
  for_each_factor<h>(
      of.alpha, quarter, between,
      [&](int i, float2 f) {
        const float2 y = f * result(row_of(i)), y_key = f * result(kLevelRows + row_of(i));
        of.d_q[i] += y;
        of.d_k[i] += y_key;
        result(row_of(i)) = of.query(i) * y + of.key(i) * y_key;
      },
      [&](int i, float2 f) {
        const float2 y = f * result(2 * kLevelRows + row_of(i)), along = of.key(i) * y;
        of.d_k[i] += of.beta[i] * y;
        of.d_beta[i] += along.x + along.y;
        result(2 * kLevelRows + row_of(i)) = of.beta[i] * along;
      });
  __syncwarp();  // and they do not stay in registers besides
  const auto read = [&](int i) { return result(row_of(i)); };
  const auto written = [&](int i) { return result(2 * kLevelRows + row_of(i)); };
  float2 total{};
  if constexpr (h < kQuarter) {
#pragma unroll
    for (int first = 0; first < kQuarter; first += 2 * h) {
      add_sums_before<h>(of.gate, first, written);
      add_sums_onward<h>(of.gate, first + h, read);
    }
  } else {
    total = is_reader(h, quarter) ? add_sums_onward<kQuarter>(of.gate, 0, read)
                                  : add_sums_before<kQuarter>(of.gate, 0, written);
  }
  if constexpr (h > kQuarter) {
    // Readers' sums go on into the third quarter from the fourth, writers' into the second from the first.
    const float2 others = shuffled(total, lane ^ 8);
    if (quarter == 1 || quarter == 2) {
#pragma unroll
      for (int i = 0; i < kQuarter; ++i) of.gate[i] += others;
    }
  }
  __syncwarp();
}

// What passes through the state, and L's diagonal.
template <class T, int K>
__device__ inline void add_boundaries(Gathering<T>& of, const ChannelAdjointShared<T, K>& shared,
                                      const ChannelProducts<T, K>& products, const float2 (&total)[4],
                                      int pair, int lane) {
  const int quarter = lane / 8;
  const auto product = [&](const T* panels, int i) {
    const int t = kQuarter * quarter + i;
    const auto* const row =
        reinterpret_cast<const std::uint32_t*>(panels + pair / 32 * kPanelElements + t * kPanel);
    return widened<T>(row[(pair % 32 / 4 ^ (t & 7)) * 4 + pair % 4]);
  };
  float2 before{1, 1}, after{1, 1};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (i < quarter) before *= total[i];
    if (i > quarter) after *= total[i];
  }
  const float2 kept =
      total[0] * total[1] * total[2] * total[3] * reinterpret_cast<const float2*>(products.keep)[pair];
  float2 x[kQuarter];
  multiply_onward<kQuarter>(of.alpha, 0, before, [&](int i, float2 f) {
    const float2 y = f * product(products.out, i), y_key = f * product(products.read, i);
    of.d_q[i] += y;
    of.d_k[i] += y_key;
    x[i] = of.query(i) * y + of.key(i) * y_key;
    of.gate[i] = kept;
  });
  const float2 reads = add_sums_onward<kQuarter>(of.gate, 0, [&](int i) { return x[i]; });
  multiply_back<kQuarter>(of.alpha, 0, after, [&](int i, float2 f) {
    const int t = kQuarter * quarter + i;
    const float diagonal = Element<T>::low(bits_of(shared.within_out, t, t)), beta = of.beta[i];
    const float2 q = of.query(i), k = of.key(i), y = f * product(products.write, i), whole = y + diagonal * q,
                 along = k * whole;
    of.d_q[i] += beta * diagonal * k;
    of.d_k[i] += beta * whole;
    of.d_beta[i] = along.x + along.y;
    x[i] = beta * (k * y);
  });
  const float2 writes = add_sums_before<kQuarter>(of.gate, 0, [&](int i) { return x[i]; });
  float2 others{};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 read = shuffled(reads, 8 * i + lane % 8), write = shuffled(writes, 8 * i + lane % 8);
    if (i > quarter) others += read;
    if (i < quarter) others += write;
  }
#pragma unroll
  for (int i = 0; i < kQuarter; ++i) of.gate[i] += others;
}

// Grid (chunks, G).
template <class T, int K>
__global__ __launch_bounds__(2 * K, 1) void channel_adjoints(
    const __grid_constant__ ChannelAdjointArguments<T, K> arguments) {
  using Shared = ChannelAdjointShared<T, K>;
  extern __shared__ unsigned char memory[];
  Shared& shared = shared_memory<Shared>(memory);
  const ChannelInputs<T>& in = arguments.in;
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32, quarter = lane / 8,
            pair = 8 * warp + lane % 8;
  const int H = in.sizes.heads, G = in.sizes.key_heads;
  const Chunk chunk = in.chunk[blockIdx.x];
  const int rows = chunk.rows - kQuarter * quarter;  // of the share's that are tokens
  if (thread == 0) {
    init_barrier(&shared.loaded, 1);
    fence_barrier_init();
  }
  Gathering<T> of;
  of.q = reinterpret_cast<std::uint32_t*>(shared.q[warp].row[quarter]) + lane % 8;
  of.k = reinterpret_cast<std::uint32_t*>(shared.k[warp].row[quarter]) + lane % 8;
  of.beta = shared.beta + kQuarter * quarter;
#pragma unroll
  for (int i = 0; i < kQuarter; ++i) of.d_q[i] = of.d_k[i] = float2{};
  for (int turn = 0; turn < H / G; ++turn) {
    const int head = blockIdx.y * (H / G) + turn;
    const ChannelProducts<T, K>& products =
        arguments.products[std::int64_t{head} * in.sizes.chunks + blockIdx.x];
    __syncthreads();  // nobody reads what belongs to the head before
    if (thread == 0) {
      constexpr int bytes = sizeof(shared.within_out) + sizeof(shared.within_read);
      arrive_expecting(&shared.loaded, bytes);
      copy_bytes(shared.within_out, products.within_out, bytes, &shared.loaded);
    }
    if (thread < kChunk) shared.beta[thread] = load_beta(in, chunk, head, thread);
    Share<T> share;
    load_share<T, K>(share, in, chunk, head, pair, quarter);
#pragma unroll
    for (int i = 0; i < kQuarter; ++i) {
      of.alpha[i] = share.alpha[i];
      of.q[8 * i] = share.q[i];
      of.k[8 * i] = share.k[i];
    }
    const float2 own = product_of(of.alpha);
    float2 total[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) total[i] = shuffled(own, 8 * i + lane % 8);
    wait(&shared.loaded, turn & 1);
    lay_tiles(shared, thread);
    __syncthreads();

    add_boundaries(of, shared, products, total, pair, lane);
    constexpr float2 one{1, 1};
    add_level<0>(of, shared, one, warp, lane);
    add_level<1>(of, shared, one, warp, lane);
    add_level<2>(of, shared, one, warp, lane);
    add_level<3>(of, shared, one, warp, lane);
    add_level<4>(of, shared, one, warp, lane);
    add_level<5>(of, shared, quarter == 0 ? total[1] : quarter == 3 ? total[2] : one, warp, lane);

#pragma unroll
    for (int i = 0; i < kQuarter; ++i) {
      const int row = kQuarter * quarter + i;
      float sum = of.d_beta[i];
#pragma unroll
      for (int distance = 1; distance < 8; distance *= 2) sum += __shfl_xor_sync(~0u, sum, distance);
      if (lane % 8 == 0) shared.d_beta[warp][row] = sum;
    }
    if (arguments.d_log_alpha) {
      float* gate = share_at<K>(arguments.d_log_alpha, std::int64_t{H} * K, chunk, head * K, pair, quarter);
#pragma unroll
      for (int i = 0; i < kQuarter; ++i, gate += std::int64_t{H} * K) {
        if (i < rows) *reinterpret_cast<float2*>(gate) = of.gate[i];
      }
    }
    __syncthreads();
    if (arguments.d_beta && thread < chunk.rows) {
      float sum = 0;
      for (int part = 0; part < Shared::kWarps; ++part) sum += shared.d_beta[part][thread];
      arguments.d_beta[std::int64_t{chunk.token + thread} * H + head] = sum;
    }
  }
  const std::int64_t stride = std::int64_t{G} * K;
  T* d_q = share_at<K>(arguments.d_q, stride, chunk, blockIdx.y * K, pair, quarter);
  T* d_k = share_at<K>(arguments.d_k, stride, chunk, blockIdx.y * K, pair, quarter);
#pragma unroll
  for (int i = 0; i < kQuarter; ++i, d_q += stride, d_k += stride) {
    if (i >= rows) continue;
    *reinterpret_cast<std::uint32_t*>(d_q) = pack<T>(of.d_q[i]);
    *reinterpret_cast<std::uint32_t*>(d_k) = pack<T>(of.d_k[i]);
  }
}

}  // namespace mdnlab::scan::cuda
