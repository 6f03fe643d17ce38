// What one thread does of a norm: its share of each row of a run, Q quads of channels. `lanes` neighbouring
// threads have a row between them. A row's loads are asked for together and without condition, the next row's
// before the sum of this one is known, so that memory always has something to bring.
#pragma once

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops::cuda {

template <Gating kGating, int Q, class X, class Y, class Machine>
struct NormRun {
  static constexpr bool kGated = kGating != Gating::none, kGatesFirst = kGating == Gating::silu_first;

  const Norm& in;
  std::int64_t run;
  int lane, lanes;
  float share_of_one;  // of the mean
  typename Machine::Group group;
  Quad weight[Q]{};
  float scale[Q]{};

  MDNLAB_DEVICE NormRun(const Norm& problem, std::int64_t run_index, int my_lane, int all_lanes)
      : in(problem),
        run(run_index),
        lane(my_lane),
        lanes(all_lanes),
        share_of_one(1 / static_cast<float>(problem.N)),
        group(all_lanes) {
    each([&](int i, int c) {
      weight[i] = load<Machine>(in.weight_N + c);
      if (kGatesFirst && in.add) scale[i] = Machine::load_one(in.scale_H + c / in.width);
    });
  }

  // body(i, c): the i-th quad of this thread begins at number c of the row.
  template <class Body>
  MDNLAB_DEVICE void each(const Body& body) const {
#pragma unroll
    for (int i = 0; i < Q; ++i) {
      const int c = (lane + i * lanes) * kChannels;
      if (c < in.N) body(i, c);
    }
  }
  // body(i, n): each number of this thread; those beyond the row are 0 in all that is read.
  template <class Body>
  MDNLAB_DEVICE static void each_number(const Body& body) {
#pragma unroll
    for (int i = 0; i < Q; ++i) {
#pragma unroll
      for (int n = 0; n < kChannels; ++n) body(i, n);
    }
  }

  // Of a row, as memory brings it; what there is not is 0.
  struct Asked {
    Fetched<Machine, X> x[Q], dsum[Q];
    Fetched<Machine, Y> add[Q], z[Q], dy[Q];
  };
  template <class T>
  MDNLAB_DEVICE void ask(Fetched<Machine, T> (&asked)[Q], const void* from, std::int64_t at, int end) const {
    const int last = from ? end : 0;
#pragma unroll
    for (int i = 0; i < Q; ++i) {
      const int c = (lane + i * lanes) * kChannels;
      asked[i] = c < last ? Machine::fetch(static_cast<const T*>(from) + at + c) : Fetched<Machine, T>{};
    }
  }
  template <bool kBackward>
  MDNLAB_DEVICE void ask_row(Asked& asked, std::int64_t row) const {
    const std::int64_t at = row * in.N;
    const int end = row < in.rows ? in.N : 0;
    ask<X>(asked.x, in.x, at, end);
    if constexpr (kBackward) ask<Y>(asked.dy, in.dy, at, end);
    if constexpr (kGated) ask<Y>(asked.z, in.z, row * in.z_stride, end);
    if constexpr (kGatesFirst || (!kGated && !kBackward)) ask<Y>(asked.add, in.add, row * in.add_stride, end);
    if constexpr (!kGated && kBackward) ask<X>(asked.dsum, in.dsum, at, end);
  }
  // body(row, asked, ask_next) for each row. Once it has what was asked for, body asks for the next one.
  template <bool kBackward, class Body>
  MDNLAB_DEVICE void each_row(const Body& body) const {
    Asked asked;
    ask_row<kBackward>(asked, run);
    for (std::int64_t row = run; row < in.rows; row += in.runs)
      body(row, asked, [&] { ask_row<kBackward>(asked, row + in.runs); });
  }

  template <class Bits>
  MDNLAB_DEVICE static void widen(Quad (&quads)[Q], const Bits (&asked)[Q]) {
#pragma unroll
    for (int i = 0; i < Q; ++i) quads[i] = Machine::widen(asked[i]);
  }
  template <class T>
  MDNLAB_DEVICE void write(void* to, std::int64_t at, const Quad (&quads)[Q]) const {
    each([&](int i, int c) { Machine::store(static_cast<T*>(to) + at + c, quads[i]); });
  }
  MDNLAB_DEVICE static Activation activated(float z) {
    return activation<Machine>(kGating != Gating::sigmoid, z);
  }

  MDNLAB_DEVICE void forward() {
    each_row<false>([&](std::int64_t row, const Asked& asked, const auto& ask_next) {
      const std::int64_t at = row * in.N;
      Quad u[Q];
      [[maybe_unused]] Quad z[Q], add[Q];
      widen(u, asked.x);
      if constexpr (kGated) widen(z, asked.z);
      if constexpr (kGatesFirst || !kGated) widen(add, asked.add);
      ask_next();
      if constexpr (kGated)
        each_number([&](int i, int n) { z[i].value[n] = activated(z[i].value[n]).value; });
      if constexpr (kGatesFirst)
        each_number([&](int i, int n) { u[i].value[n] += scale[i] * add[i].value[n]; });
      if constexpr (!kGated) {
        each_number([&](int i, int n) { u[i].value[n] += add[i].value[n]; });
        if (in.sum) write<X>(in.sum, at, u);
      }
      float squares[1] = {0};
      each_number([&](int i, int n) {
        if constexpr (kGatesFirst) u[i].value[n] *= z[i].value[n];
        squares[0] += u[i].value[n] * u[i].value[n];
      });
      group.sum(squares);
      const float r = Machine::rsqrt(squares[0] * share_of_one + in.eps);
      each_number([&](int i, int n) {
        u[i].value[n] *= r * weight[i].value[n];
        if constexpr (kGated && !kGatesFirst) u[i].value[n] *= z[i].value[n];
      });
      write<Y>(in.y, at, u);
    });
  }

  // With u the normed, v the adjoint of x̂:  dweight = Σ_rows u·r·v ,  du = r·(v·weight − u·r²·⟨u,
  // v·weight⟩/N)
  MDNLAB_DEVICE void backward() {
    Quad dweight[Q]{};
    float dscale[Q]{};
    each_row<true>([&](std::int64_t row, const Asked& asked, const auto& ask_next) {
      const std::int64_t at = row * in.N;
      Quad u[Q], v[Q];
      [[maybe_unused]] Quad z[Q], add[Q], dsum[Q], slope_of_u[Q], slope_of_v[Q], value[Q];
      widen(u, asked.x);
      widen(v, asked.dy);
      if constexpr (kGated) widen(z, asked.z);
      if constexpr (kGatesFirst) widen(add, asked.add);
      if constexpr (!kGated) widen(dsum, asked.dsum);
      ask_next();
      if constexpr (kGatesFirst)
        each_number([&](int i, int n) { u[i].value[n] += scale[i] * add[i].value[n]; });
      float sums[2] = {0, 0};  // |u|², ⟨u, v·weight⟩
      if constexpr (kGated) {
        each_number([&](int i, int n) {
          const Activation a = activated(z[i].value[n]);
          value[i].value[n] = a.value;
          slope_of_u[i].value[n] = u[i].value[n] * a.slope;
          slope_of_v[i].value[n] = v[i].value[n] * a.slope;
          (kGatesFirst ? u : v)[i].value[n] *= a.value;
        });
      }
      each_number([&](int i, int n) {
        sums[0] += u[i].value[n] * u[i].value[n];
        sums[1] += u[i].value[n] * v[i].value[n] * weight[i].value[n];
      });
      group.sum(sums);
      const float r = Machine::rsqrt(sums[0] * share_of_one + in.eps), along = r * r * sums[1] * share_of_one;
      Quad dx[Q];
      [[maybe_unused]] Quad dz[Q];
      each_number([&](int i, int n) {
        const float ur = u[i].value[n] * r, w = weight[i].value[n];
        const float du = r * (v[i].value[n] * w - along * u[i].value[n]);
        dweight[i].value[n] += ur * v[i].value[n];
        if constexpr (kGatesFirst) {
          dx[i].value[n] = du * value[i].value[n];
          dz[i].value[n] = du * slope_of_u[i].value[n];
        } else if constexpr (kGated) {
          dx[i].value[n] = du;
          dz[i].value[n] = ur * w * slope_of_v[i].value[n];
        } else {
          dx[i].value[n] = du + dsum[i].value[n];
        }
      });
      write<X>(in.dx, at, dx);
      if constexpr (kGated) write<Y>(in.dz, row * in.dz_stride, dz);
      if constexpr (kGatesFirst) {
        each_number([&](int i, int n) {
          dscale[i] += dx[i].value[n] * add[i].value[n];
          dx[i].value[n] *= scale[i];
        });
      }
      if constexpr (kGatesFirst || !kGated) {
        if (in.dadd) write<Y>(in.dadd, at, dx);
      }
    });
#pragma unroll
    for (int i = 0; i < Q; ++i) group.add_groups(dweight[i].value);
    const std::int64_t share = run / group.of_block();
    if (group.is_first()) write<float>(in.dweight_SN, share * in.N, dweight);
    if constexpr (kGatesFirst) {
      if (!in.add) return;
      group.add_groups(dscale);
      if (group.is_first())
        each([&](int i, int c) { in.dscale_SQ[(share * in.N + c) / kChannels] = dscale[i]; });
    }
  }
};

}  // namespace mdnlab::ops::cuda
