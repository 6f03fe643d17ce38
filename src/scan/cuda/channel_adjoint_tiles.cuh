// The products of channel_adjoints.cuh within a chunk: dL and dA in tiles of the levels (channel_share.cuh),
// times a level's rows, sixteen channels a warp.
#pragma once

#include "scan/cuda/channel_share.cuh"
#include "scan/cuda/warp_product.cuh"

namespace mdnlab::scan::cuda {

// Sixteen channels of a level's rows, in groups of eight: readers' queries, readers' keys, writers.
struct LevelRows {
  // Elements apart, so that eight rows lie in different banks, and four groups do.
  static constexpr int kRow = 24, kGroup = 8 * kRow + 16;
  static constexpr int kElements = 3 * kLevelRows / 8 * kGroup;
  __device__ static constexpr int offset(int row) { return row / 8 * kGroup + row % 8 * kRow; }

  template <class T>
  struct Operands {
    alignas(16) T element[kElements];
    __device__ T* at(int row) { return element + offset(row); }
  };
  struct Results {
    alignas(16) float element[kElements];
    __device__ float* at(int row) { return element + offset(row); }
  };
};

// q and k of a warp's 16 channels, quarters of tokens in different banks.
template <class T>
struct Keys {
  alignas(16) T row[kChunk / kQuarter][kQuarter * 16 + 16];
};

template <class T, int K>
struct ChannelAdjointShared {
  static constexpr int kWarps = K / 16;
  alignas(1024) T within_out[kPanelElements];  // dL
  T within_read[kPanelElements];               // dA
  alignas(128) T tile[kTiles][2][8][8];        // both in tiles of the levels: dL, dA; of readers; of writers
  LevelRows::Operands<T> operands[kWarps];
  LevelRows::Results results[kWarps];
  Keys<T> q[kWarps], k[kWarps];
  float beta[kChunk];
  float d_beta[kWarps][kChunk];
  std::uint64_t loaded;
};

template <class T>
__device__ inline std::uint32_t bits_of(const T* panel, int t, int j) {
  return *reinterpret_cast<const std::uint16_t*>(panel + t * kPanel + (j / 8 ^ (t & 7)) * 8 + j % 8);
}

template <class T, int K>
__device__ inline void lay_tiles(ChannelAdjointShared<T, K>& shared, int thread) {
  for (int i = thread; i < kTiles * 16; i += 2 * K) {
    const LevelTile tile = tile_of(i / 16);
    const int reader = 8 * tile.reader + i % 8, t = reader_of(tile.log_h, reader);
    const T* const within = i / 8 % 2 == 0 ? shared.within_out : shared.within_read;
    std::uint32_t bits[8];
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const int writer = 8 * tile.writer + j;
      const bool is_pair = reader >> tile.log_h == writer >> tile.log_h;
      bits[j] = is_pair ? bits_of(within, t, writer_of(tile.log_h, writer)) : 0;
    }
    reinterpret_cast<uint4*>(shared.tile)[i] = uint4{bits[0] | bits[1] << 16, bits[2] | bits[3] << 16,
                                                     bits[4] | bits[5] << 16, bits[6] | bits[7] << 16};
  }
}

// Σ_j dL_tj w_j, Σ_j dA_tj w_j and Σ_t (dL_tj q_t + dA_tj k_t) of level h, for the rows that `operands`
// holds.
template <int log_h, class T, int K>
__device__ inline void multiply_level(ChannelAdjointShared<T, K>& shared, LevelRows::Operands<T>& operands,
                                      LevelRows::Results& results, int lane) {
  constexpr int blocks = meeting(1 << log_h);
  const int row = lane / 4, column = 2 * (lane % 4);
  const auto tile = [&](int reader, int writer) {
    return shared_address(
        shared.tile[first_tile(log_h) + reader * blocks + writer % blocks][lane / 8 % 2][lane % 8]);
  };
#pragma unroll 1
  for (int reader = 0; reader < kLevelRows / 8; ++reader) {
    float d[2][4] = {};
#pragma unroll
    for (int i = 0; i < blocks; ++i) {
      const int writer = reader / blocks * blocks + i;
      std::uint32_t within[4], b[4];
      load_matrices(tile(reader, writer), within);
      load_matrices_transposed(
          shared_address(operands.at(2 * kLevelRows + 8 * writer + lane % 8) + lane / 8 % 2 * 8), b);
      const std::uint32_t a[2] = {within[0], within[1]};
      multiply<T>(d[0], a, b[0]);
      multiply<T>(d[1], a, b[1]);
    }
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        *reinterpret_cast<float2*>(results.at(i * kLevelRows + 8 * reader + row) + 8 * n + column) =
            float2{d[n][2 * i], d[n][2 * i + 1]};
      }
    }
  }
#pragma unroll 1
  for (int writer = 0; writer < kLevelRows / 8; ++writer) {
    float d[4] = {};  // transposed: 16 channels × 8 writers
#pragma unroll
    for (int i = 0; i < blocks; ++i) {
      const int reader = writer / blocks * blocks + i;
      std::uint32_t a[4], within[4];
      load_matrices_transposed(
          shared_address(operands.at(lane / 16 * kLevelRows + 8 * reader + lane % 8) + lane / 8 % 2 * 8), a);
      load_matrices_transposed(tile(reader, writer), within);
      multiply<T>(d, a, within[0], within[1]);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
      results.at(2 * kLevelRows + 8 * writer + column + i % 2)[row + i / 2 * 8] = d[i];
  }
}

}  // namespace mdnlab::scan::cuda
