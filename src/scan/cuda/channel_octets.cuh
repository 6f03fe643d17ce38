// Channel-wise decay in the order of a warp's products (warp_product.cuh), transposed: rows are channels,
// columns tokens. What is worked out by element is an operand, and a product comes back to the same
// registers.
//
// A warp has 16 channels of a chunk, its slice. Of each octet, 8 tokens, lane l has the channels 2(l/4) and
// the next, of the tokens 2(l mod 4) and the next, its pair: element 2c + e of four is channel c, token e.
#pragma once

#include "scan/cuda/channel_share.cuh"
#include "scan/cuda/warp_product.cuh"

namespace mdnlab::scan::cuda {

constexpr int kOctet = 8, kOctets = kChunk / kOctet, kSliceChannels = 16;
constexpr int kQuarter = 16, kQuarters = kChunk / kQuarter;

struct OctetLane {
  int lane, row, place;   // l, l/4, l mod 4
  bool is_odd, is_upper;  // the pair among the two of its half of the octet, the half
  __device__ explicit OctetLane(int lane)
      : lane(lane), row(lane / 4), place(lane % 4), is_odd(lane & 1), is_upper(lane & 2) {}
};

__device__ inline float2 exchanged(float2 x, int distance) {
  return {__shfl_xor_sync(~0u, x.x, distance), __shfl_xor_sync(~0u, x.y, distance)};
}
// The sum over the lanes of an octet.
__device__ inline float2 octet_sum(float2 x) {
  x += exchanged(x, 1);
  return x + exchanged(x, 2);
}
__device__ inline float2 either(bool first, float2 x, float2 y) {
  return {first ? x.x : y.x, first ? x.y : y.y};
}

__device__ inline void scale(float (&x)[4], float2 f) {
  x[0] *= f.x;
  x[1] *= f.x;
  x[2] *= f.y;
  x[3] *= f.y;
}
// Σ over the pair of x∘y, of each channel.
__device__ inline float2 along_pair(const float (&x)[4], const float (&y)[4]) {
  return {x[0] * y[0] + x[1] * y[1], x[2] * y[2] + x[3] * y[3]};
}
// f∘x as half an operand.
template <class T>
__device__ inline uint2 operand_of(float2 f, const float (&x)[4]) {
  return {Element<T>::pack(f.x * x[0], f.x * x[1]), Element<T>::pack(f.y * x[2], f.y * x[3])};
}
template <class T>
__device__ inline uint2 operand_of(const float (&x)[4]) {
  return {Element<T>::pack(x[0], x[1]), Element<T>::pack(x[2], x[3])};
}
__device__ inline uint4 joined(uint2 x, uint2 y) { return {x.x, x.y, y.x, y.y}; }

template <class T>
__device__ inline void multiply(float (&d)[4], uint4 a, std::uint32_t b0, std::uint32_t b1) {
  const std::uint32_t parts[4] = {a.x, a.y, a.z, a.w};
  multiply<T>(d, parts, b0, b1);
}
template <class T>
__device__ inline void multiply(float (&d)[4], uint2 a, std::uint32_t b) {
  const std::uint32_t parts[2] = {a.x, a.y};
  multiply<T>(d, parts, b);
}

// Products of α over tokens of an octet, by channel.
struct OctetDecay {
  float alpha[4];
  float2 pair;                     // the lane's two
  float2 before, after;            // before the pair, and after it, in its half
  float2 half_before, half_after;  // the other half where that comes before, or after; else 1
  float2 all;

  __device__ OctetDecay(float4 of, OctetLane at) : alpha{of.x, of.y, of.z, of.w} {
    constexpr float2 one{1, 1};
    pair = {alpha[0] * alpha[1], alpha[2] * alpha[3]};
    const float2 neighbour = exchanged(pair, 1), half = pair * neighbour, other = exchanged(half, 2);
    all = half * other;
    before = either(at.is_odd, neighbour, one);
    after = either(at.is_odd, one, neighbour);
    half_before = either(at.is_upper, other, one);
    half_after = either(at.is_upper, one, other);
  }
  __device__ float2 from_start() const { return before * half_before; }  // to before the pair
  __device__ float2 to_end() const { return after * half_after; }        // from after it
};

// What of an 8×8 tile is of pairs of level h = 4, 2, 1, reader by writer, as an operand B (`direct`: summed
// over the writers) and as one of the transposed (over the readers).
struct LevelMask {
  std::uint32_t direct, transposed;
};
template <int h>
__device__ inline LevelMask level_mask(OctetLane at) {
  const int row = at.row, place = at.place;
  if constexpr (h == 4) return {row >= 4 && place < 2 ? ~0u : 0, row < 4 && place >= 2 ? ~0u : 0};
  if constexpr (h == 2) {
    const bool is_same_half = row / 4 == place / 2;
    return {is_same_half && row & 2 && !at.is_odd ? ~0u : 0,
            is_same_half && !(row & 2) && at.is_odd ? ~0u : 0};
  }
  const bool is_same_pair = row / 2 == place;
  return {is_same_pair && row & 1 ? 0x0000ffffu : 0, is_same_pair && !(row & 1) ? 0xffff0000u : 0};
}

}  // namespace mdnlab::scan::cuda
