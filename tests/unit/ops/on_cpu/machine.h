// A GPU of a kind on the CPU: threads of blocks of a cluster are contexts that are resumed in random order
// whenever they would wait for each other. Shared memory begins as NaN; a kernel whose threads all wait is an
// error.
#pragma once

#include <cuda_runtime_api.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

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
  int arrivals = 1, pending = arrivals;
  long bytes = 0;
  unsigned phase = 0;

  void check() {
    if (pending == 0 && bytes == 0) pending = arrivals, ++phase;
  }
};

struct Block {
  dim3 index;
  int rank = 0;
  Cluster* cluster = nullptr;
  Barrier barrier;
  std::array<Barrier, 16> some;
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
  std::deque<std::vector<std::pair<void*, const void*>>> copies{1};  // by commit; the last is open
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[stack_bytes]};
};

inline Warp& warp_of(const Thread& thread) { return thread.block->warps[thread.index.x / 32]; }

inline Thread* current = nullptr;
inline ucontext_t outside;
inline dim3 grid;
inline std::function<void()> kernel;
inline std::mt19937 order;
inline bool has_clusters = false;  // the launch says so; without, nothing is sent
inline int blocks_at_once = 20;    // what clusters_at_once() counts with

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
    Cluster of_all;
    std::vector<std::unique_ptr<Block>> all;
    std::vector<std::unique_ptr<Thread>> every;
    for (unsigned i = first; i < first + at_once; ++i) {
      Block& block = *all.emplace_back(std::make_unique<Block>());
      block.index = dim3(i % blocks.x, i / blocks.x % blocks.y, i / blocks.x / blocks.y);
      block.cluster = &of_all;
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
