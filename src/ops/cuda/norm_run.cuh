// What one thread does of a norm: its share of each row of a run, Q quads of channels that stay in registers
// from the sum to its use. `lanes` neighbouring threads have a row between them.
#pragma once

#include "ops/cuda/quad.cuh"

namespace mdnlab::ops::cuda {

template <int Q, bool kGated, class X, class Y, class Machine>
struct NormRun {
  const Norm& in;
  std::int64_t run, first, end;
  int lane, lanes;
  bool gates_first;
  typename Machine::Group group;

  MDNLAB_DEVICE NormRun(const Norm& problem, std::int64_t run_index, int my_lane, int all_lanes)
      : in(problem),
        run(run_index),
        lane(my_lane),
        lanes(all_lanes),
        gates_first(kGated && in.gate_first),
        group(all_lanes) {
    first = run * in.rows_of_run;
    end = first + in.rows_of_run < in.rows ? first + in.rows_of_run : in.rows;
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
  template <class T>
  MDNLAB_DEVICE static Quad read(const void* from, std::int64_t at) {
    return load<Machine>(static_cast<const T*>(from) + at);
  }
  template <class T>
  MDNLAB_DEVICE static void write(void* to, std::int64_t at, const Quad& quad) {
    Machine::store(static_cast<T*>(to) + at, quad);
  }
  MDNLAB_DEVICE float reciprocal(float squares) const {
    return Machine::rsqrt(squares / static_cast<float>(in.N) + in.eps);
  }
  MDNLAB_DEVICE void gate(Quad& value, const Quad& z) const {
#pragma unroll
    for (int n = 0; n < kChannels; ++n) value.value[n] *= activation<Machine>(in.is_silu, z.value[n]).value;
  }

  MDNLAB_DEVICE void forward() {
    for (std::int64_t row = first; row < end; ++row) {
      const std::int64_t at = row * in.N;
      Quad u[Q];
      float squares[1] = {0};
      each([&](int i, int c) {
        u[i] = read<X>(in.x, at + c);
        if (in.add) {
          const Quad add = read<Y>(in.add, at + c);
#pragma unroll
          for (int n = 0; n < kChannels; ++n) u[i].value[n] += add.value[n];
          write<X>(in.sum, at + c, u[i]);
        }
        if (gates_first) gate(u[i], read<Y>(in.z, row * in.z_stride + c));
#pragma unroll
        for (int n = 0; n < kChannels; ++n) squares[0] += u[i].value[n] * u[i].value[n];
      });
      group.sum(squares);
      const float r = reciprocal(squares[0]);
      each([&](int i, int c) {
        const Quad weight = read<float>(in.weight_N, c);
#pragma unroll
        for (int n = 0; n < kChannels; ++n) u[i].value[n] *= r * weight.value[n];
        if (kGated && !gates_first) gate(u[i], read<Y>(in.z, row * in.z_stride + c));
        write<Y>(in.y, at + c, u[i]);
      });
    }
  }

  // With u the normed, v the adjoint of x̂:  dweight = Σ_rows u·r·v ,  du = r·(v·weight − u·r²·⟨u,
  // v·weight⟩/N)
  MDNLAB_DEVICE void backward() {
    Quad dweight[Q]{};
    for (std::int64_t row = first; row < end; ++row) {
      const std::int64_t at = row * in.N;
      Quad x[Q], z[Q], dy[Q];
      float sums[2] = {0, 0};  // |u|², ⟨u, v·weight⟩
      each([&](int i, int c) {
        x[i] = read<X>(in.x, at + c);
        dy[i] = read<Y>(in.dy, at + c);
        if (kGated) z[i] = read<Y>(in.z, row * in.z_stride + c);
        Quad both = x[i];  // u, or u times what v is more than dy
        const Quad weight = read<float>(in.weight_N, c);
        if (kGated) gate(both, z[i]);
#pragma unroll
        for (int n = 0; n < kChannels; ++n) {
          const float u = gates_first ? both.value[n] : x[i].value[n];
          sums[0] += u * u;
          sums[1] += both.value[n] * dy[i].value[n] * weight.value[n];
        }
      });
      group.sum(sums);
      const float r = reciprocal(sums[0]), along = r * r * sums[1] / static_cast<float>(in.N);
      each([&](int i, int c) {
        const Quad weight = read<float>(in.weight_N, c);
        Quad dx, dz{};
#pragma unroll
        for (int n = 0; n < kChannels; ++n) {
          const Activation a = kGated ? activation<Machine>(in.is_silu, z[i].value[n]) : Activation{1, 0};
          const float u = gates_first ? x[i].value[n] * a.value : x[i].value[n];
          const float v = gates_first ? dy[i].value[n] : dy[i].value[n] * a.value;
          const float du = r * (v * weight.value[n] - along * u);
          dweight[i].value[n] += u * r * v;
          dx.value[n] = gates_first ? du * a.value : du;
          dz.value[n] =
              a.slope * (gates_first ? du * x[i].value[n] : dy[i].value[n] * u * r * weight.value[n]);
        }
        if (kGated) write<Y>(in.dz, at + c, dz);
        if (in.dsum) {
          const Quad dsum = read<X>(in.dsum, at + c);
#pragma unroll
          for (int n = 0; n < kChannels; ++n) dx.value[n] += dsum.value[n];
        }
        write<X>(in.dx, at + c, dx);
        if (in.dadd) write<Y>(in.dadd, at + c, dx);
      });
    }
    each([&](int i, int c) { write<float>(in.dweight_RN, run * in.N + c, dweight[i]); });
  }
};

}  // namespace mdnlab::ops::cuda
