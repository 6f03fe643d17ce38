// What one thread does of the gates: one head of a run of rows (tokens of the whole batch).
#pragma once

#include "ops/cuda/jet.cuh"

namespace mdnlab::ops::cuda {

// Forward, numbers come without derivatives. That the compiler knows which of the two kinds of formula it has
// keeps them in registers.
template <class T, class Machine, bool kBackward, bool kDiscretised>
struct GatesRun {
  static constexpr int kInputs = int{kProjections} + int{kGateParameters};
  using Number = Jet<kBackward ? kInputs : 0>;

  const Gates& in;
  GateRule rule;
  std::int64_t run, first, end;
  int head, used = 0;
  int column[kProjections];  // in a row of x; −1: not used
  Number w[kGateParameters];

  MDNLAB_DEVICE GatesRun(const Gates& problem, std::int64_t run_index, int of_head)
      : in(problem), rule(problem.rule), run(run_index), head(of_head) {
    rule.discretised = kDiscretised;
    first = run * in.rows_of_run;
    end = first + in.rows_of_run < in.rows ? first + in.rows_of_run : in.rows;
#pragma unroll
    for (int i = 0; i < kProjections; ++i)
      column[i] = rule.uses(static_cast<GateProjection>(i)) ? in.heads * used++ + head : -1;
#pragma unroll
    for (int i = 0; i < kGateParameters; ++i)
      if (in.w_H[i]) w[i] = Number::input(in.w_H[i][head], kProjections + i);
  }

  MDNLAB_DEVICE void evaluate(std::int64_t row, Number* gates) const {
    Number x[kProjections];
#pragma unroll
    for (int i = 0; i < kProjections; ++i) {
      if (column[i] < 0) continue;
      x[i] = Number::input(Machine::load_one(static_cast<const T*>(in.x) + row * in.x_stride + column[i]), i);
    }
    gates_of<Number>(rule, x, w, nullptr, gates);
  }

  MDNLAB_DEVICE void forward() const {
    for (std::int64_t row = first; row < end; ++row) {
      Number gates[kGates];
      evaluate(row, gates);
#pragma unroll
      for (int i = 0; i < kGates; ++i)
        if (in.gates_RH[i]) in.gates_RH[i][row * in.heads + head] = gates[i].value;
    }
  }

  // d(input) = Σ over the gates of d(gate) · ∂gate/∂input
  MDNLAB_DEVICE void backward() const {
    float sums[kInputs] = {};
    for (std::int64_t row = first; row < end; ++row) {
      Number gates[kGates];
      evaluate(row, gates);
      float dinput[kInputs] = {};
#pragma unroll
      for (int i = 0; i < kGates; ++i) {
        if (!in.dgates_RH[i]) continue;
        const float dgate = in.dgates_RH[i][row * in.heads + head];
#pragma unroll
        for (int n = 0; n < kInputs; ++n) dinput[n] += dgate * gates[i].slope[n];
      }
#pragma unroll
      for (int i = 0; i < kProjections; ++i) {
        if (column[i] >= 0)
          Machine::store_one(static_cast<T*>(in.dx) + row * used * in.heads + column[i], dinput[i]);
      }
#pragma unroll
      for (int n = kProjections; n < kInputs; ++n) sums[n] += dinput[n];
    }
    int given = 0;
#pragma unroll
    for (int i = 0; i < kGateParameters; ++i) given += in.w_H[i] != nullptr;
    float* share = in.dw_RPH + run * given * in.heads + head;
#pragma unroll
    for (int i = 0; i < kGateParameters; ++i) {
      if (!in.w_H[i]) continue;
      *share = sums[kProjections + i];
      share += in.heads;
    }
  }
};

}  // namespace mdnlab::ops::cuda
