// src/ops/cuda/decode_gpu.cuh for the CPU: whole kernels, thread by thread (machine.h). What it does not show
// is what no order of threads shows: how memory of a GPU is seen by others, and loads that are too early.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "machine.h"

#undef __global__
#undef __grid_constant__
#undef __launch_bounds__
#undef __maxnreg__
#define __global__
#define __grid_constant__
#define __launch_bounds__(...)
#define __maxnreg__(...)

#define threadIdx (::mdnlab::on_cpu::current->index)
#define blockIdx (::mdnlab::on_cpu::current->block->index)
#define gridDim (::mdnlab::on_cpu::grid)

inline float __uint_as_float(unsigned x) {
  float y;
  std::memcpy(&y, &x, sizeof y);
  return y;
}
inline unsigned __float_as_uint(float x) {
  unsigned y;
  std::memcpy(&y, &x, sizeof y);
  return y;
}
inline void __syncthreads() { mdnlab::on_cpu::meet(mdnlab::on_cpu::current->block->barrier); }
inline unsigned __shfl_xor_sync(unsigned, unsigned x, int mask) {
  using namespace mdnlab::on_cpu;
  return of_lane(x, lane() ^ static_cast<unsigned>(mask));
}
inline void __syncwarp() { mdnlab::on_cpu::meet(mdnlab::on_cpu::warp().barrier); }
inline float __shfl_xor_sync(unsigned, float x, int mask) {
  using namespace mdnlab::on_cpu;
  return __uint_as_float(of_lane(__float_as_uint(x), lane() ^ static_cast<unsigned>(mask)));
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }

namespace mdnlab::ops::cuda {

using std::max;
using std::min;

inline unsigned char* shared_memory() { return on_cpu::current->block->begin(); }
inline constexpr int kSwizzle = 1024;
inline unsigned char* swizzled_memory() { return shared_memory(); }

template <class T>
void keep(T&) {}
inline void prefetch(const void*) {}
inline float fetch_early(const float* p) { return *p; }
inline float4 fetch_early4(const float* p) { return *reinterpret_cast<const float4*>(p); }
inline void put_once(float* p, const float4& x) { *reinterpret_cast<float4*>(p) = x; }
inline float4 fetch_early4(const __nv_bfloat16* p) {
  return {__bfloat162float(p[0]), __bfloat162float(p[1]), __bfloat162float(p[2]), __bfloat162float(p[3])};
}
inline void fetch_eight(uint4& x, const __nv_bfloat16* p, bool is_there) {
  if (is_there) x = *reinterpret_cast<const uint4*>(p);
}
inline float fetch_early(const __nv_bfloat16* p) { return __bfloat162float(*p); }

// Lane l has of a the rows l/4 and l/4 + 8 at k = 2(l%4), + 1, and 8 behind; of b the column l/4 there; of d
// the same rows at columns 2(l%4), + 1.
inline void multiply(float (&d)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                     unsigned b1) {
  using namespace on_cpu;
  Warp& mine = warp();
  const unsigned given[6] = {a0, a1, a2, a3, b0, b1};
  std::ranges::copy(given, mine.values[lane()]);
  meet(mine.barrier);
  const auto half = [&](unsigned of_lane, unsigned i, unsigned k) {
    const unsigned pair = mine.values[of_lane][i];
    return __uint_as_float(k % 2 == 0 ? pair << 16 : pair & 0xffff0000u);
  };
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = lane() / 4, column = lane() % 4 * 2 + i % 2;
    double sum = d[i];
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned at = k % 8 / 2, behind = k / 8;
      sum += static_cast<double>(half(4 * row + at, i / 2 + 2 * behind, k)) *
             half(4 * column + at, 4 + behind, k);
    }
    d[i] = static_cast<float>(sum);
  }
  meet(mine.barrier);
}

inline void read_matrix(unsigned (&a)[4], const __nv_bfloat16* row) {
  using namespace on_cpu;
  Block& mine = *current->block;
  if (mine.place(row) % 16 != 0) throw std::logic_error("a row at an odd place");
  mine.place(row + 7);
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned at =
        of_lane(static_cast<unsigned>(mine.place(row)), 8 * i + lane() / 4) + 4 * (lane() % 4);
    std::memcpy(&a[i], mine.begin() + at, 4);
  }
}

// Copies come when they must.
inline void copy_to_shared(void* to, const void* from) {
  on_cpu::current->copies.back().emplace_back(to, from);
}
inline void commit_copies() { on_cpu::current->copies.emplace_back(); }
template <int kLeft>
void wait_for_copies() {
  auto& copies = on_cpu::current->copies;
  while (copies.size() > kLeft + 1) {
    for (const auto& [to, from] : copies.front()) std::memcpy(to, from, 16);
    copies.pop_front();
  }
}

template <int kEights>
void multiply_tiles(float (*d)[4], const unsigned char* a, const unsigned char* b) {
  const unsigned thread = on_cpu::current->index.x % 128, first_row = thread / 32 * 16 + thread % 32 / 4;
  const auto at = [](const unsigned char* tile, unsigned row, unsigned k) {
    return static_cast<double>(__bfloat162float(
        reinterpret_cast<const __nv_bfloat16*>(tile + 128 * row + 16 * (k / 8 ^ row % 8))[k % 8]));
  };
  for (unsigned t = 0; t < kEights; ++t) {
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = first_row + i / 2 * 8, column = 8 * t + thread % 4 * 2 + i % 2;
      double sum = d[t][i];
      for (unsigned k = 0; k < 64; ++k) sum += at(a, row, k) * at(b, column, k);
      d[t][i] = static_cast<float>(sum);
    }
  }
}
template <int kLeft>
void wait_for_products() {}

inline void sync_some(int threads, int barrier = 1) {
  on_cpu::Barrier& some = on_cpu::current->block->some.at(static_cast<std::size_t>(barrier));
  some.size = threads;
  on_cpu::meet(some);
}

inline void arrive_in_cluster() {
  on_cpu::Barrier& barrier = on_cpu::current->block->cluster->barrier;
  on_cpu::current->turn_of_cluster = barrier.turns;
  barrier.arrive();
}
inline void wait_for_cluster() {
  on_cpu::Barrier& barrier = on_cpu::current->block->cluster->barrier;
  const long turn = on_cpu::current->turn_of_cluster;
  on_cpu::wait_until([&barrier, turn] { return barrier.turns != turn; });
}
inline void leave_cluster() { arrive_in_cluster(), wait_for_cluster(); }
template <class T>
T* at_rank(T* shared, int rank) {
  on_cpu::Block& mine = *on_cpu::current->block;
  return reinterpret_cast<T*>(mine.cluster->blocks.at(static_cast<std::size_t>(rank))->begin() +
                              mine.place(shared));
}

inline on_cpu::Gate& gate_of(unsigned long long* came, int rank) {
  on_cpu::Block& mine = *on_cpu::current->block;
  return mine.cluster->blocks.at(static_cast<std::size_t>(rank))->gates[mine.place(came)];
}
inline on_cpu::Gate& gate_of(unsigned long long* gate) { return gate_of(gate, on_cpu::current->block->rank); }
inline void make_gate(unsigned long long* gate, int arrivals) {
  gate_of(gate) = {.arrivals = arrivals, .pending = arrivals};
}
inline void show_gates() {}
inline void arrive_expecting(unsigned long long* gate, int bytes) {
  on_cpu::Gate& of = gate_of(gate);
  of.bytes += bytes;
  --of.pending;
  of.check();
}
inline void arrive(unsigned long long* gate) {
  on_cpu::Gate& of = gate_of(gate);
  --of.pending;
  of.check();
}
inline void wait_at(unsigned long long* gate, unsigned parity) {
  on_cpu::Gate& of = gate_of(gate);
  on_cpu::wait_until([&of, parity] { return of.phase % 2 != parity; });
}
struct TileMap {
  const __nv_bfloat16* matrix;
  int rows, width, tile_panels, tile_rows;
};
inline cudaError_t map_tiles(TileMap& tiles, const __nv_bfloat16* matrix, int rows, int width,
                             int tile_panels, int tile_rows) {
  tiles = {matrix, rows, width, tile_panels, tile_rows};
  return reinterpret_cast<std::uintptr_t>(matrix) % 16 == 0 && width % 64 == 0 && tile_rows <= 256 &&
                 tile_panels <= 256
             ? cudaSuccess
             : cudaErrorInvalidValue;
}
// Others go on before what is copied is there.
inline void linger() {
  for (long turns = on_cpu::order() % 4; turns > 0; --turns)
    on_cpu::wait_until([is_first = true]() mutable { return !std::exchange(is_first, false); });
}
inline void copy_row(void* to, const void* from, int bytes, unsigned long long* gate) {
  unsigned char* const begin = static_cast<unsigned char*>(to);
  if (on_cpu::current->block->place(begin) % 16 != 0 || reinterpret_cast<std::uintptr_t>(from) % 16 != 0 ||
      bytes % 16 != 0)
    throw std::logic_error("a row at an odd place");
  on_cpu::current->block->place(begin + bytes - 1);
  linger();
  std::memcpy(begin, from, static_cast<std::size_t>(bytes));
  gate_of(gate).bytes -= bytes;
  gate_of(gate).check();
}
inline void copy_tile(void* to, const TileMap& from, int panel, int row, unsigned long long* gate) {
  unsigned char* const begin = static_cast<unsigned char*>(to);
  const int panel_bytes = 128 * from.tile_rows, bytes = panel_bytes * from.tile_panels;
  if (on_cpu::current->block->place(begin) % kSwizzle != 0) throw std::logic_error("a tile at an odd place");
  on_cpu::current->block->place(begin + bytes - 1);
  linger();
  for (int i = 0; i < from.tile_panels * from.tile_rows * 8; ++i) {
    const int p = i / 8 / from.tile_rows, r = i / 8 % from.tile_rows, c = i % 8, k = 64 * (panel + p) + 8 * c;
    unsigned char* const at = begin + panel_bytes * p + 128 * r + 16 * (c ^ r % 8);
    if (row + r < from.rows && k < from.width) {
      std::memcpy(at, from.matrix + static_cast<long>(row + r) * from.width + k, 16);
    } else {
      std::memset(at, 0, 16);
    }
  }
  gate_of(gate).bytes -= bytes;
  gate_of(gate).check();
}
inline void prefetch_map(const TileMap&) {}
inline void prefetch_tile(const TileMap&, int, int) {}
inline void show_to_copies() {}
inline void send(void* to, const void* from, int bytes, unsigned long long* gate, int rank) {
  if (bytes % 16 != 0) throw std::logic_error("an odd number of bytes");
  linger();
  std::memcpy(at_rank(static_cast<unsigned char*>(to), rank), from, static_cast<std::size_t>(bytes));
  gate_of(gate, rank).bytes -= bytes;
  gate_of(gate, rank).check();
}
inline void send_number(float* slot, unsigned long long* came, int block, float number) {
  if (!on_cpu::has_clusters) throw std::logic_error("a number is sent, and there are no clusters");
  *at_rank(slot, block) = number;
  on_cpu::Gate& gate = gate_of(came, block);
  gate.bytes -= 4;
  gate.check();
}
inline void wait_at_cluster(unsigned long long* came, unsigned phase) {
  on_cpu::Gate& gate = gate_of(came, on_cpu::current->block->rank);
  on_cpu::wait_until([&gate, phase] { return gate.phase % 2 != phase; });
}

inline void let_next_start() {}
inline void wait_for_previous() {}

template <class Problem>
cudaError_t launch_early(void (*kernel)(Problem), const Problem& problem, dim3 grid, int threads,
                         int shared_bytes, int cluster, cudaStream_t) {
  on_cpu::has_clusters = cluster > 0;
  return on_cpu::run(grid, threads, shared_bytes, max(cluster, 1), [&] { kernel(problem); });
}
template <class Problem>
cudaError_t clusters_at_once(int* count, void (*)(Problem), int, int, int cluster) {
  *count = on_cpu::blocks_at_once / cluster;
  return cudaSuccess;
}

}  // namespace mdnlab::ops::cuda
