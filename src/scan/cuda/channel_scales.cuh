// Powers of two for the operands of channel-wise decay in f16 (short_range.cuh). What they multiply is scaled
// up by them in channel_prepare.cuh, and down wherever a product with it is in float32. Other elements have
// none: their structs are empty, and every factor 1.
#pragma once

#include "scan/cuda/channel_share.cuh"
#include "scan/cuda/short_range.cuh"

namespace mdnlab::scan::cuda {

// What the scans are told, factors that bring a product down. Of row t of ChannelPairs, left of the diagonal;
// of row t of Ψ, with momentum in the coefficients' write_S and write_M as well; of all of D and Q̂.
template <class T>
struct TileScales {
  __device__ static float pair_row(int) { return 1; }
  __device__ static float write_row(int) { return 1; }
  __device__ static Scale of_write(int) { return {}; }
  __device__ static Scale of_read() { return {}; }
};
template <>
struct TileScales<__half> {
  float pair_rows[kChunk], write_rows[kChunk];
  Scale read_scale, unused[3];
  __device__ float pair_row(int t) const { return pair_rows[t]; }
  __device__ float write_row(int t) const { return write_rows[t]; }
  __device__ Scale of_write(int lane) const { return scale_of_rows<__half>(lane, write_rows); }
  __device__ Scale of_read() const { return read_scale; }
};

// What a block that prepares a chunk keeps of them: for the levels' readers, D and Q̂, and for Ψ.
template <class T>
struct RowScales {
  __device__ static Scale reader(int) { return {}; }
  __device__ static Scale writer(int) { return {}; }
};
template <>
struct RowScales<__half> {
  unsigned largest_alpha[kChunk], largest_write[kChunk];  // over the channels, as bits of floats ≥ 0
  Scale readers[kChunk], writers[kChunk];
  __device__ Scale reader(int t) const { return readers[t]; }
  __device__ Scale writer(int t) const { return writers[t]; }
};

// Readers are scaled by their own α, which no factor a_{m→t} exceeds, and D and Q̂ by the first ā_t, the
// largest: no α is above 1. `after`: α of the chunk after this share. For all threads of the block.
template <bool has_momentum>
__device__ inline void make_scales(RowScales<__half>& shared, const float (&beta)[kChunk],
                                   Share<__half>& share, float2 after, int part, TileScales<__half>& out,
                                   Coefficients* coefficients) {
  const int thread = threadIdx.x, lane = thread % 32;
  if (thread < kChunk) shared.largest_alpha[thread] = shared.largest_write[thread] = 0;
  __syncthreads();
  multiply_back<kShare>(share.alpha, 0, after, [&](int i, float2 f) {
    const int t = kShare * part + i;
    const float alpha = largest_of(fmaxf(share.alpha[i].x, share.alpha[i].y)),
                write = largest_of(fabsf(beta[t]) * fmaxf(f.x, f.y));
    if (lane == 0) {
      atomicMax(&shared.largest_alpha[t], __float_as_uint(alpha));
      atomicMax(&shared.largest_write[t], __float_as_uint(write));
    }
  });
  forget_products(share);
  __syncthreads();
  if (thread < kChunk) {
    const Scale reader = scale_to_one(__uint_as_float(shared.largest_alpha[thread])),
                writer = scale_to_one(__uint_as_float(shared.largest_write[thread]));
    shared.readers[thread] = reader;
    shared.writers[thread] = writer;
    out.pair_rows[thread] = reader.down();
    out.write_rows[thread] = writer.down();
    if constexpr (has_momentum) {
      coefficients->write_S[thread] *= writer.down();
      coefficients->write_M[thread] *= writer.down();
    }
    if (thread == 0) out.read_scale = reader;
  }
  __syncthreads();
}

}  // namespace mdnlab::scan::cuda
