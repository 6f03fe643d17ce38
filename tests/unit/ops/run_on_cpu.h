// A machine for the bodies of the GPU's threads (ops/cuda/*_run.cuh) on the CPU, and what their tests share.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <thread>
#include <vector>

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops {

inline at::Tensor unwritten(at::IntArrayRef shape) {
  return at::full(shape, std::numeric_limits<double>::quiet_NaN(), at::kFloat);
}

// float32 results against float64 ones.
inline void expect_close(const std::string& name, const at::Tensor& found, const at::Tensor& expected) {
  EXPECT_LT((found - expected).abs().max().item<double>(), 3e-5 * (1 + expected.abs().max().item<double>()))
      << name;
}

namespace cuda {

// Threads of a group, as threads of the CPU that meet at every sum.
class Team {
 public:
  explicit Team(int lanes) : slots_(static_cast<std::size_t>(lanes)), meeting_(lanes) {}

  // body(lane) in every one of them.
  template <class Body>
  void run(const Body& body) {
    std::vector<std::jthread> threads;
    for (std::size_t lane = 0; lane < slots_.size(); ++lane) {
      threads.emplace_back([this, lane, &body] {
        current_ = {this, lane};
        body(static_cast<std::int64_t>(lane));
      });
    }
  }

  // merge(a, b) over all threads, in place.
  template <class Merge>
  static void combine(float* values, std::size_t count, const Merge& merge) {
    Team& team = *current_.team;
    team.slots_[current_.lane].assign(values, values + count);
    team.meeting_.arrive_and_wait();
    std::copy_n(team.slots_[0].begin(), count, values);
    for (std::size_t other = 1; other < team.slots_.size(); ++other) {
      for (std::size_t n = 0; n < count; ++n) values[n] = merge(values[n], team.slots_[other].at(n));
    }
    team.meeting_.arrive_and_wait();
  }

  static std::size_t size() { return current_.team->slots_.size(); }

 private:
  struct Place {
    Team* team;
    std::size_t lane;
  };
  static inline thread_local Place current_{};
  std::vector<std::vector<float>> slots_;
  std::barrier<> meeting_;
};

struct Cpu {
  static Quad fetch(const float* p) { return {p[0], p[1], p[2], p[3]}; }
  static Quad fetch_written(const float* p) { return fetch(p); }
  static float load_written(const float* p) { return *p; }
  static Quad widen(const Quad& fetched) { return fetched; }
  static void store(float* p, const Quad& quad) { std::copy_n(quad.value, kChannels, p); }
  static void store_if(bool there, float* p, const Quad& quad) {
    if (there) store(p, quad);
  }
  static float load_one(const float* p) { return *p; }
  static void store_one(float* p, float value) { *p = value; }
  static float exp(float z) { return std::exp(z); }
  static float quotient(float a, float b) { return a / b; }
  static float rsqrt(float z) { return 1 / std::sqrt(z); }
  static Direction direction(float turns) {
    const float angle = 2 * std::numbers::pi_v<float> * turns;
    return {std::sin(angle), std::cos(angle)};
  }

  struct Group {
    explicit Group(int lanes) {
      if (static_cast<std::size_t>(lanes) != Team::size()) std::abort();
    }
    template <int N>
    void sum(float (&values)[N]) {
      Team::combine(values, N, [](float a, float b) { return a + b; });
    }
    float max(float value) {
      Team::combine(&value, 1, [](float a, float b) { return std::max(a, b); });
      return value;
    }
    // Its block has no other.
    template <int N>
    void add_groups(float (&)[N]) const {}
    bool is_first() const { return true; }
    int of_block() const { return 1; }
  };

  template <int kLanes>
  struct Head : Group {
    Head() : Group(kLanes) {}
  };

  // Two steps' numbers, as on the GPU: what is taken too late or asked for too early is not there.
  template <class T, int kStreams>
  class Ahead {
   public:
    Ahead() { std::fill_n(&slots_[0][0][0], 2 * kStreams * kStep, Quad{kNaN, kNaN, kNaN, kNaN}); }

    template <class Ask>
    void first_step(const Ask& ask) {
      for (int j = 0; j < kStep; ++j) ask(j, j);
    }
    template <class Ask>
    void next_step(const Ask& ask) {
      ++step_;
      for (int j = 0; j < kStep; ++j) ask(j, step_ * kStep + j);
    }
    void ask(int stream, int j, const T* p, bool there) {
      slots_[step_ % 2][stream][j] = there ? fetch(p) : Quad{};
    }
    Quad take(int stream, int j) const { return slots_[(step_ + 1) % 2][stream][j]; }

   private:
    static constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
    int step_ = 0;
    Quad slots_[2][kStreams][kStep];
  };
};

}  // namespace cuda

}  // namespace mdnlab::ops
