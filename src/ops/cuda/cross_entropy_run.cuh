// What one thread does of a row of logits: every lanes-th quad, once for the softmax's sum and once for the
// gradient. All threads of the group have the row between them; each writes only what it alone has read.
#pragma once

#include <cmath>
#include <limits>

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops::cuda {

// What a maximum starts from: the difference of two −∞ would be NaN.
inline constexpr float kLowest = -3.4028235e38F;

template <class T, class Machine>
struct CrossEntropyRow {
  static constexpr int kAhead = 8;  // quads on their way at once

  const CrossEntropy& in;
  std::int64_t row;
  T* x;
  int lane, lanes, whole;  // whole: logits in whole quads; the first thread has the rest
  typename Machine::Group group;

  MDNLAB_DEVICE CrossEntropyRow(const CrossEntropy& problem, std::int64_t row_index, int my_lane,
                                int all_lanes)
      : in(problem),
        row(row_index),
        x(static_cast<T*>(problem.x_NV) + row_index * problem.stride),
        lane(my_lane),
        lanes(all_lanes),
        whole(problem.V / kChannels * kChannels),
        group(all_lanes) {}

  // The quads at v, v + 4·lanes, …; beyond the row kLowest.
  MDNLAB_DEVICE void read(int v, Quad (&quads)[kAhead]) const {
#pragma unroll
    for (int i = 0; i < kAhead; ++i, v += lanes * kChannels) {
      quads[i] = v < whole ? Machine::widen(Machine::fetch_written(x + v))
                           : Quad{{kLowest, kLowest, kLowest, kLowest}};
    }
  }

  struct Mass {
    float most = kLowest, sum = 0;  // Σ exp(x − most)
  };
  template <int N>
  MDNLAB_DEVICE static void add(Mass& mass, const Quad (&quads)[N]) {
    float most = mass.most;
#pragma unroll
    for (int i = 0; i < N; ++i) {
#pragma unroll
      for (int n = 0; n < kChannels; ++n) most = fmaxf(most, quads[i].value[n]);
    }
    mass.sum *= Machine::exp(mass.most - most);
    mass.most = most;
#pragma unroll
    for (int i = 0; i < N; ++i) {
#pragma unroll
      for (int n = 0; n < kChannels; ++n) mass.sum += Machine::exp(quads[i].value[n] - most);
    }
  }

  // loss = log Σ_v exp(x_v − most) − (x_label − most) ,  x_v ← exp(x_v − most)/Σ − [v = label] ; both 0 where
  // the row counts nothing
  MDNLAB_DEVICE void run() {
    const int first = lane * kChannels, stride = lanes * kChannels * kAhead;
    Quad quads[kAhead], rest[1];
    Mass mass;
    int end = first;
    for (; end < whole; end += stride) {
      read(end, quads);
      add(mass, quads);
    }
    const bool has_rest = lane == 0 && whole < in.V;
    if (has_rest) {
      rest[0] = Machine::widen(Machine::fetch_written(x + whole));
      Quad words = rest[0];
#pragma unroll
      for (int n = 1; n < kChannels; ++n) words.value[n] = whole + n < in.V ? words.value[n] : kLowest;
      add<1>(mass, {words});
    }

    const std::int64_t given = in.label_N[row];
    const int label = given >= 0 && given < in.V ? static_cast<int>(given) : -1;
    const float most = group.max(mass.most);
    float sums[2] = {mass.sum * Machine::exp(mass.most - most), 0};  // Σ, x_label − most
    if (lane == 0)
      sums[1] = label < 0 ? std::numeric_limits<float>::quiet_NaN() : Machine::load_written(x + label) - most;
    group.sum(sums);
    const bool counts = given != in.no_label;
    if (lane == 0) in.loss_N[row] = counts ? logf(sums[0]) - sums[1] : 0;
    if (!in.differentiate) return;

    // From the row's end, which was read last and is still near.
    const float share = counts ? Machine::quotient(1, sums[0]) : 0;
    const auto softmax = [&](Quad& quad, int n) {
      quad.value[n] = Machine::exp(quad.value[n] - most) * share;
    };
    if (has_rest) {
#pragma unroll
      for (int n = 0; n < kChannels; ++n) {
        if (whole + n < in.V) softmax(rest[0], n);
      }
      Machine::store(x + whole, rest[0]);
    }
    for (int v = end - stride; v >= first; v -= stride) {
      read(v, quads);
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        const int at = v + i * lanes * kChannels;
        if (at >= whole) continue;
#pragma unroll
        for (int n = 0; n < kChannels; ++n) softmax(quads[i], n);
        Machine::store(x + at, quads[i]);
      }
    }
    const int owner = label < whole ? label / kChannels % lanes : 0;
    if (label >= 0 && lane == owner) Machine::store_one(x + label, Machine::exp(sums[1]) * share - 1);
  }
};

}  // namespace mdnlab::ops::cuda
