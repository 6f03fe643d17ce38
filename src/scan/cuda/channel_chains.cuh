// What a quarter of a chunk's tokens takes from the rest of the chunk and gives to it, by one warp for its
// slice of channels (channel_octets.cuh). Three sums go from the farthest to the nearest and meet α on the
// way,
//
//     query_t = ā_t∘dQ̂_t + Σ_{j<t} dL_tj β_j a_{j→t}∘k_j       key_t: likewise with dD and dA
//     write_j = a_{j→C}∘dΨ_j + Σ_{t>j} a_{j→t}∘(dL_tj q_t + dA_tj k_t)
//
// first over whole quarters: after each the sum is multiplied by the quarter's α, and the matrix units add
// the next one's; then over the other octet, half octet, pair and token in the same way. So every factor is a
// product of α's in float32, operands are decayed to the bounds of their own part, and none is rounded twice.
//
// d log α_s is what passes through s: each step on that way, for the tokens that lie between.
#pragma once

#include "scan/cuda/channel_slice.cuh"

namespace mdnlab::scan::cuda {

// dL and dA, panels one after the other.
struct WithinTiles {
  std::uint32_t out, read;  // addresses
  OctetLane at;

  // The four tiles of two quarters, the readers' octets in the upper two bits of the index.
  __device__ std::uint32_t of_quarters(std::uint32_t panel, int reader, int writer) const {
    const int tile = at.lane / kOctet, row = kQuarter * reader + tile / 2 * kOctet + at.lane % kOctet;
    return piece_address(panel, row, 2 * writer + tile % 2);
  }
  // dL and dA of octet `own` with itself, and those of a quarter's second octet with its first.
  __device__ std::uint32_t of_octets(int quarter, int own) const {
    const int tile = at.lane / kOctet, octet = 2 * quarter + (tile < 2 ? own : 1);
    return piece_address(tile % 2 ? read : out, kOctet * octet + at.lane % kOctet,
                         2 * quarter + (tile < 2 ? own : 0));
  }
};

struct QuarterSums {
  float query[2][4], key[2][4], write[2][4];
};

// Over the quarters. `through[i]` += what passes through quarter i of the products with this one.
template <class T>
__device__ inline void add_quarters(QuarterSums& sums, const QuarterShare& share,
                                    const OctetDecay (&decay)[2], float2 (&through)[kQuarters],
                                    const ChannelSlice& slice, const WithinTiles& within, int quarter) {
  const OctetLane at = within.at;
  const float2 from_start[2] = {decay[0].from_start(), decay[0].all * decay[1].from_start()};
  const float2 to_end[2] = {decay[0].to_end() * decay[1].all, decay[1].to_end()};
  float2 read[kQuarters - 1] = {};
#pragma unroll
  for (int from = 0; from < kQuarters - 1; ++from) {
    if (from >= quarter) break;
    const float2 total = slice.total[from][at.row];
    float2 passing{};
#pragma unroll
    for (int o = 0; o < 2; ++o) {
      scale(sums.query[o], total);
      scale(sums.key[o], total);
      passing +=
          from_start[o] * (along_pair(share.query[o], sums.query[o]) + along_pair(share.key[o], sums.key[o]));
    }
#pragma unroll
    for (int i = 0; i < from; ++i) read[i] *= total;
    read[from] = passing;
    const uint4 writers = slice.writers[from][at.lane];
    std::uint32_t out[4], before[4];
    load_matrices(within.of_quarters(within.out, quarter, from), out);
    load_matrices(within.of_quarters(within.read, quarter, from), before);
#pragma unroll
    for (int o = 0; o < 2; ++o) {
      multiply<T>(sums.query[o], writers, out[2 * o], out[2 * o + 1]);
      multiply<T>(sums.key[o], writers, before[2 * o], before[2 * o + 1]);
    }
  }
  float2 written{};  // into the state after the chunk
#pragma unroll
  for (int o = 0; o < 2; ++o) written += to_end[o] * along_pair(share.write[o], sums.write[o]);
#pragma unroll 1
  for (int to = kQuarters - 1; to > quarter; --to) {
    const float2 total = slice.total[to][at.row];
    scale(sums.write[0], total);
    scale(sums.write[1], total);
    written *= total;
    const uint4 queries = slice.queries[to - 1][at.lane], readers = slice.readers[to - 1][at.lane];
    std::uint32_t out[4], before[4];
    load_matrices_transposed(within.of_quarters(within.out, to, quarter), out);
    load_matrices_transposed(within.of_quarters(within.read, to, quarter), before);
#pragma unroll
    for (int o = 0; o < 2; ++o) {
      multiply<T>(sums.write[o], queries, out[o], out[2 + o]);
      multiply<T>(sums.write[o], readers, before[o], before[2 + o]);
    }
  }
#pragma unroll
  for (int i = 0; i < kQuarters; ++i) {
    if (i < kQuarters - 1) through[i] += read[i];
    if (i > quarter) through[i] += written;
  }
}

// Over the two octets of a quarter; what passes through either goes to `gate`.
template <class T>
__device__ inline void add_octets(QuarterSums& sums, const QuarterShare& share, const OctetDecay (&decay)[2],
                                  float2 (&gate)[2], const std::uint32_t (&tile)[4],
                                  const std::uint32_t (&transposed)[4]) {
  scale(sums.query[1], decay[0].all);
  scale(sums.key[1], decay[0].all);
  scale(sums.write[0], decay[1].all);
  const float2 from_start = decay[1].from_start(), to_end = decay[0].to_end();
  gate[0] = octet_sum(from_start *
                      (along_pair(share.query[1], sums.query[1]) + along_pair(share.key[1], sums.key[1])));
  gate[1] = octet_sum(to_end * along_pair(share.write[0], sums.write[0]));
  const uint2 writers = operand_of<T>(to_end, share.write[0]);
  multiply<T>(sums.query[1], writers, tile[2]);
  multiply<T>(sums.key[1], writers, tile[3]);
  multiply<T>(sums.write[0],
              joined(operand_of<T>(from_start, share.query[1]), operand_of<T>(from_start, share.key[1])),
              transposed[2], transposed[3]);
}

// One level of the three within an octet. Lanes are readers of it or writers.
template <int h, class T>
__device__ inline void multiply_level(float (&query)[4], float (&key)[4], float (&write)[4], uint2 queries,
                                      uint2 keys, OctetLane at, const std::uint32_t (&tile)[4],
                                      const std::uint32_t (&transposed)[4]) {
  const LevelMask mask = level_mask<h>(at);
  multiply<T>(query, keys, tile[0] & mask.direct);
  multiply<T>(key, keys, tile[1] & mask.direct);
  multiply<T>(write, joined(queries, keys), transposed[0] & mask.transposed, transposed[1] & mask.transposed);
}

// Within an octet. Then query, key and write are what their names say; adds to `gate` of each element.
template <class T>
__device__ inline void add_octet(float (&query)[4], float (&key)[4], float (&write)[4],
                                 const QuarterShare& share, int o, const OctetDecay& decay,
                                 const PairKeys& keys, float (&gate)[4], OctetLane at,
                                 const std::uint32_t (&tile)[4], const std::uint32_t (&transposed)[4]) {
  const auto read = [&] { return along_pair(share.query[o], query) + along_pair(share.key[o], key); };
  const auto written = [&] { return along_pair(share.write[o], write); };
  float mixed[4];  // readers' keys, and writers'
  // Halves of the octet.
  scale(query, decay.half_before);
  scale(key, decay.half_before);
  scale(write, decay.half_after);
  float2 passing = either(at.is_upper, decay.before * read(), decay.after * written());
  passing += exchanged(passing, 1);
  float2 pair_gate = exchanged(passing, 2);
#pragma unroll
  for (int i = 0; i < 4; ++i) mixed[i] = at.is_upper ? share.key[o][i] : share.write[o][i];
  multiply_level<4, T>(query, key, write, operand_of<T>(decay.before, share.query[o]),
                       operand_of<T>(either(at.is_upper, decay.before, decay.after), mixed), at, tile,
                       transposed);
  // Pairs of a half.
  scale(query, decay.before);
  scale(key, decay.before);
  scale(write, decay.after);
  pair_gate += exchanged(either(at.is_odd, read(), written()), 1);
#pragma unroll
  for (int i = 0; i < 4; ++i) mixed[i] = at.is_odd ? share.key[o][i] : share.write[o][i];
  multiply_level<2, T>(query, key, write, operand_of<T>(share.query[o]), operand_of<T>(mixed), at, tile,
                       transposed);
  // Tokens of a pair: the second reads, the first writes.
  float own_query[4], own_key[4];
#pragma unroll
  for (int c = 0; c < 2; ++c) {
    const int first = 2 * c, second = 2 * c + 1;
    const float pair = c ? pair_gate.y : pair_gate.x, alpha = decay.alpha[second];
    gate[first] += pair + share.query[o][first] * query[first] + share.key[o][first] * key[first];
    query[second] *= decay.alpha[first];
    key[second] *= decay.alpha[first];
    write[first] *= alpha;
    own_query[first] = 0;
    own_query[second] = alpha * keys.q[second];
    own_key[first] = keys.beta.x * keys.k[first];
    own_key[second] = alpha * keys.k[second];
    gate[first] += own_query[second] * query[second] + own_key[second] * key[second];
    gate[second] += pair + own_key[first] * write[first];
  }
  multiply_level<1, T>(query, key, write, operand_of<T>(own_query), operand_of<T>(own_key), at, tile,
                       transposed);
#pragma unroll
  for (int c = 0; c < 2; ++c) {
    const int second = 2 * c + 1;
    gate[second] += own_query[second] * query[second] + own_key[second] * key[second];
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    query[i] *= decay.alpha[i];
    key[i] *= decay.alpha[i];
  }
}

}  // namespace mdnlab::scan::cuda
