// src/ops/cuda/decode_gpu.cuh for the CPU: whole kernels, whose threads are contexts that are resumed in
// random order whenever they would wait for each other. Shared memory begins as NaN; a kernel whose threads
// all wait is an error. What it does not show is what no order of threads shows: how memory of a GPU is seen
// by others, and loads that are too early.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#undef __global__
#undef __grid_constant__
#undef __launch_bounds__
#define __global__
#define __grid_constant__
#define __launch_bounds__(...)

namespace mdnlab::on_cpu {

struct Cluster;

// Arrivals of `size`, after which all go on.
struct Barrier {
  int size = 0, arrived = 0;
  long turns = 0;

  void arrive() {
    ++arrived;
    check();
  }
  void check() {
    if (size > 0 && arrived >= size) arrived = 0, ++turns;
  }
};

struct Warp {
  bool is_late = false;
  Barrier barrier{.size = 32};
  unsigned values[32][6];
};

// An mbarrier: shut while somebody is to arrive, or bytes are to come.
struct Gate {
  int pending = 1;
  long bytes = 0;
  unsigned phase = 0;

  void check() {
    if (pending == 0 && bytes == 0) pending = 1, ++phase;
  }
};

struct Block {
  dim3 index;
  int rank = 0;
  Cluster* cluster = nullptr;
  Barrier barrier;
  std::vector<Warp> warps;
  std::vector<uint4> memory;
  std::map<std::ptrdiff_t, Gate> gates;  // by their place in shared memory

  unsigned char* begin() { return reinterpret_cast<unsigned char*>(memory.data()); }
  template <class T>
  std::ptrdiff_t place(T* p) {
    const std::ptrdiff_t at = reinterpret_cast<const unsigned char*>(p) - begin();
    if (at < 0 || at >= static_cast<std::ptrdiff_t>(16 * memory.size())) throw std::logic_error("not shared");
    return at;
  }
};

struct Cluster {
  std::vector<Block*> blocks;
  Barrier barrier;
};

struct Thread {
  static constexpr std::size_t stack_bytes = 64 << 10;
  dim3 index;
  Block* block;
  std::function<bool()> may_go_on = [] { return true; };
  bool is_done = false;
  long turn_of_cluster = 0;
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[stack_bytes]};
};

inline Warp& warp_of(const Thread& thread) { return thread.block->warps[thread.index.x / 32]; }

inline Thread* current = nullptr;
inline ucontext_t outside;
inline dim3 grid;
inline std::function<void()> kernel;
inline std::mt19937 order;
inline int multiprocessors_of_clusters = 5;  // what clusters_at_once() says

inline void wait_until(std::function<bool()> condition) {
  if (condition()) return;
  current->may_go_on = std::move(condition);
  swapcontext(&current->context, &outside);
}
inline void meet(Barrier& barrier) {
  const long turn = barrier.turns;
  barrier.arrive();
  wait_until([&barrier, turn] { return barrier.turns != turn; });
}

inline void body_of_thread() {
  kernel();
  current->is_done = true;
  --current->block->barrier.size;
  current->block->barrier.check();
  swapcontext(&current->context, &outside);
}

// For a while some warps do not go on while others can: they fall behind by as much as they may.
inline void run_in_any_order(const std::vector<std::unique_ptr<Thread>>& every) {
  constexpr int kWhile = 40;
  std::vector<Thread*> live;
  for (const auto& thread : every) live.push_back(thread.get());
  for (int round = 0; !live.empty(); ++round) {
    if (round % kWhile == 0) {
      for (Thread* const thread : live)
        if (thread->index.x % 32 == 0) warp_of(*thread).is_late = order() % 2 == 0;
    }
    std::ranges::shuffle(live, order);
    const auto go_on = [&](bool is_late) {
      bool has_moved = false;
      for (Thread* const thread : live) {
        if (thread->is_done || warp_of(*thread).is_late != is_late || !thread->may_go_on()) continue;
        has_moved = true;
        current = thread;
        swapcontext(&outside, &thread->context);
      }
      return has_moved;
    };
    if (!go_on(false) && !go_on(true)) throw std::logic_error("all threads wait");
    std::erase_if(live, [](const Thread* thread) { return thread->is_done; });
  }
}

// Cluster by cluster.
inline cudaError_t run(dim3 blocks, int threads, int shared_bytes, int cluster, std::function<void()> body) {
  grid = blocks;
  kernel = std::move(body);
  const unsigned count = blocks.x * blocks.y * blocks.z;
  const unsigned at_once = static_cast<unsigned>(cluster);
  for (unsigned first = 0; first < count; first += at_once) {
    std::vector<std::unique_ptr<Cluster>> clusters;
    std::vector<std::unique_ptr<Block>> all;
    std::vector<std::unique_ptr<Thread>> every;
    for (unsigned i = first; i < first + at_once; ++i) {
      if ((i - first) % static_cast<unsigned>(cluster) == 0) clusters.push_back(std::make_unique<Cluster>());
      Block& block = *all.emplace_back(std::make_unique<Block>());
      block.index = dim3(i % blocks.x, i / blocks.x % blocks.y, i / blocks.x / blocks.y);
      block.cluster = clusters.back().get();
      block.rank = static_cast<int>(block.cluster->blocks.size());
      block.cluster->blocks.push_back(&block);
      block.cluster->barrier.size += threads;
      block.barrier.size = threads;
      block.warps.resize(static_cast<std::size_t>(threads / 32));
      block.memory.resize(static_cast<std::size_t>(shared_bytes + 15) / 16, make_uint4(~0u, ~0u, ~0u, ~0u));
      for (int t = 0; t < threads; ++t) {
        Thread& thread = *every.emplace_back(std::make_unique<Thread>());
        thread.index = dim3(static_cast<unsigned>(t));
        thread.block = &block;
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.get();
        thread.context.uc_stack.ss_size = Thread::stack_bytes;
        makecontext(&thread.context, body_of_thread, 0);
      }
    }
    run_in_any_order(every);
  }
  return cudaSuccess;
}

inline Warp& warp() { return warp_of(*current); }
inline unsigned lane() { return current->index.x % 32; }
inline unsigned of_lane(unsigned value, unsigned from) {
  Warp& mine = warp();
  mine.values[lane()][0] = value;
  meet(mine.barrier);
  const unsigned found = mine.values[from][0];
  meet(mine.barrier);
  return found;
}

}  // namespace mdnlab::on_cpu

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

inline uint4 fetch_once(const __nv_bfloat16* p) { return *reinterpret_cast<const uint4*>(p); }
inline float fetch_early(const float* p) { return *p; }
inline float4 fetch_early4(const float* p) { return *reinterpret_cast<const float4*>(p); }
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

inline void copy_to_shared(void* to, const void* from) { std::memcpy(to, from, 16); }
inline void wait_for_copies() {}

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
inline void make_gate(unsigned long long* gate) { gate_of(gate) = {}; }
inline void show_gates() {}
inline void arrive_expecting(unsigned long long* gate, int bytes) {
  on_cpu::Gate& of = gate_of(gate);
  of.bytes += bytes;
  --of.pending;
  of.check();
}
inline void wait_at(unsigned long long* gate, unsigned parity) {
  on_cpu::Gate& of = gate_of(gate);
  on_cpu::wait_until([&of, parity] { return of.phase % 2 != parity; });
}
// Others go on before what is copied is there.
inline void copy_in_bulk(void* to, const void* from, int bytes, unsigned long long* gate) {
  const auto address = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p); };
  if ((address(to) | address(from) | static_cast<unsigned>(bytes)) % 16 != 0 || bytes <= 0)
    throw std::logic_error("memory that cannot be copied in bulk");
  on_cpu::current->block->place(static_cast<char*>(to) + bytes - 1);
  for (long turns = on_cpu::order() % 4; turns > 0; --turns)
    on_cpu::wait_until([is_first = true]() mutable { return !std::exchange(is_first, false); });
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
  gate_of(gate).bytes -= bytes;
  gate_of(gate).check();
}
inline void send_square(float* slot, unsigned long long* came, int block, float square) {
  *at_rank(slot, block) = square;
  on_cpu::Gate& gate = gate_of(came, block);
  gate.bytes -= 4;
  gate.check();
}
inline void wait_for_squares(unsigned long long* came, unsigned phase) {
  on_cpu::Gate& gate = gate_of(came, on_cpu::current->block->rank);
  on_cpu::wait_until([&gate, phase] { return gate.phase % 2 != phase; });
}

inline void let_next_start() {}
inline void wait_for_previous() {}

template <class Problem>
cudaError_t launch_early(void (*kernel)(Problem), const Problem& problem, dim3 grid, int threads,
                         int shared_bytes, int cluster, cudaStream_t) {
  return on_cpu::run(grid, threads, shared_bytes, cluster, [&] { kernel(problem); });
}
template <class Problem>
cudaError_t clusters_at_once(int* count, void (*)(Problem), int, int, int) {
  *count = on_cpu::multiprocessors_of_clusters;
  return cudaSuccess;
}

}  // namespace mdnlab::ops::cuda
