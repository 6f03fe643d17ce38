// What a warp keeps of its slice of a chunk and head, 16 channels of all tokens (channel_octets.cuh), and
// what the chunk's quarters need of each other.
#pragma once

#include "scan/cuda/channel_octets.cuh"

namespace mdnlab::scan::cuda {

// What a warp keeps of its slice for its lanes.
struct ChannelSlice {
  float4 alpha[kOctets][32];  // by element; in the end d log α, but for what passes through whole quarters
  uint4 keys[kOctets][32];    // q of the pair's tokens, then k, two channels each
  // Operands of quarters, decayed to their bounds: writers of those after, readers of those before.
  uint4 writers[kQuarters - 1][32], queries[kQuarters - 1][32], readers[kQuarters - 1][32];
  float2 total[kQuarters][8];  // α of all its tokens, by row
};

// The lane's share of a quarter.
struct QuarterShare {
  // a_{m→t}∘q_t and a_{m→t}∘k_t, with m the token before the pair; β_j a_{j→m}∘k_j, with m its second.
  float query[2][4], key[2][4], write[2][4];
};

// Of an octet's pair, q, k and β as they are.
struct PairKeys {
  float q[4], k[4];
  float2 beta;

  template <class T>
  __device__ static PairKeys of(uint4 keys, float2 beta) {
    const auto low = [](std::uint32_t pair) { return Element<T>::low(pair); };
    const auto high = [](std::uint32_t pair) { return Element<T>::high(pair); };
    return {{low(keys.x), low(keys.y), high(keys.x), high(keys.y)},
            {low(keys.z), low(keys.w), high(keys.z), high(keys.w)},
            beta};
  }
};

__device__ inline void set_octet(QuarterShare& share, int o, const OctetDecay& decay, const PairKeys& keys) {
#pragma unroll
  for (int c = 0; c < 2; ++c) {
    const int first = 2 * c, second = 2 * c + 1;
    const float pair = c ? decay.pair.y : decay.pair.x;
    share.query[o][first] = decay.alpha[first] * keys.q[first];
    share.query[o][second] = pair * keys.q[second];
    share.key[o][first] = decay.alpha[first] * keys.k[first];
    share.key[o][second] = pair * keys.k[second];
    share.write[o][first] = decay.alpha[second] * (keys.beta.x * keys.k[first]);
    share.write[o][second] = keys.beta.y * keys.k[second];
  }
}

// What a lane has of its slice, as it is in memory. Tokens that are none have log α = 0, q = k = 0.
struct SliceInputs {
  float2 log_alpha[kQuarter];
  std::uint32_t q[kQuarter], k[kQuarter];
};
template <class T, int K>
__device__ inline void load_slice(SliceInputs& slice, const ChannelInputs<T>& in, Chunk chunk, int head,
                                  int pair, OctetLane at) {
  const PairRows<T, K> rows(in, chunk, head, head / (in.sizes.heads / in.sizes.key_heads), pair);
#pragma unroll
  for (int i = 0; i < kQuarter; ++i) {
    rows.load(min(i / 2 * kOctet + 2 * at.place + i % 2, chunk.rows - 1), slice.log_alpha[i], slice.q[i],
              slice.k[i]);
  }
  if (chunk.rows == kChunk) return;
#pragma unroll
  for (int i = 0; i < kQuarter; ++i) {
    if (i / 2 * kOctet + 2 * at.place + i % 2 < chunk.rows) continue;
    slice.log_alpha[i] = float2{0, 0};
    slice.q[i] = slice.k[i] = 0;
  }
}

// Lays what the slice's quarters need of each other.
template <class T>
__device__ inline void lay_slice(ChannelSlice& slice, const SliceInputs& in, const float2* beta,
                                 OctetLane at) {
#pragma unroll
  for (int quarter = 0; quarter < kQuarters; ++quarter) {
    float4 lanes_alpha[2];
    uint4 keys[2];
#pragma unroll
    for (int o = 0; o < 2; ++o) {
      const int octet = 2 * quarter + o, i = 2 * octet;
      const float2 first = exp_flushed(in.log_alpha[i]), second = exp_flushed(in.log_alpha[i + 1]);
      lanes_alpha[o] = {first.x, second.x, first.y, second.y};
      keys[o] = {in.q[i], in.q[i + 1], in.k[i], in.k[i + 1]};
      slice.alpha[octet][at.lane] = lanes_alpha[o];
      slice.keys[octet][at.lane] = keys[o];
    }
    const OctetDecay decay[2] = {{lanes_alpha[0], at}, {lanes_alpha[1], at}};
    QuarterShare share;
#pragma unroll
    for (int o = 0; o < 2; ++o)
      set_octet(share, o, decay[o],
                PairKeys::of<T>(keys[o], beta[(kQuarter * quarter + kOctet * o) / 2 + at.place]));
    const float2 from_start[2] = {decay[0].from_start(), decay[0].all * decay[1].from_start()};
    const float2 to_end[2] = {decay[0].to_end() * decay[1].all, decay[1].to_end()};
    const auto operand = [&](const float2(&f)[2], const float(&x)[2][4]) {
      return joined(operand_of<T>(f[0], x[0]), operand_of<T>(f[1], x[1]));
    };
    if (quarter > 0) {
      slice.queries[quarter - 1][at.lane] = operand(from_start, share.query);
      slice.readers[quarter - 1][at.lane] = operand(from_start, share.key);
    }
    if (quarter < kQuarters - 1) slice.writers[quarter][at.lane] = operand(to_end, share.write);
    if (at.place == 0) slice.total[quarter][at.row] = decay[0].all * decay[1].all;
  }
  __syncwarp();
}

}  // namespace mdnlab::scan::cuda
