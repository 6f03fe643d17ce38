#include "scan/batched/walk.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "scan/batched/blocks.h"

namespace mdnlab::scan::batched {

namespace {

// Views of the state: its halves S and M, [.,K,V].
struct State {
  at::Tensor S, M;
};
State halves_of(const at::Tensor& X, bool has_momentum) {
  const std::int64_t K = has_momentum ? X.size(1) / 2 : X.size(1);
  return {X.narrow(1, 0, K), has_momentum ? X.narrow(1, K, K) : at::Tensor()};
}

at::Tensor of(const at::Tensor& value, const Step& step) { return value.narrow(0, step.first, step.count); }

// X ← Φ X, and X ← Φᵀ X.
void pass_on(const at::Tensor& X, const Operands& at) {
  const State x = halves_of(X, at.b.defined());
  x.S.mul_(at.phi.select(1, 0));
  if (!at.b.defined()) return;
  x.S.addcmul_(x.M, at.b, -1);
  x.M.mul_(at.phi.select(1, 1));
}
void pass_back(const at::Tensor& dX, const Operands& at) {
  const State d = halves_of(dX, at.b.defined());
  if (at.b.defined()) d.M.mul_(at.phi.select(1, 1)).addcmul_(d.S, at.b, -1);
  d.S.mul_(at.phi.select(1, 0));
}

}  // namespace

Walk walk(const Operands& operands, const std::vector<Step>& steps, const at::Tensor& v,
          const at::Tensor& first_state, bool keep_states) {
  const bool has_delta = operands.A.defined();
  Walk out{.o_ECV = at::empty_like(v), .w_ECV = v, .last_state = first_state.clone()};
  at::Tensor solved_D;
  if (has_delta) {
    const at::Tensor U = unit_lower_inverse(operands.A);
    out.w_ECV = at::bmm(U, v);
    solved_D = at::bmm(U, operands.D);
  }
  if (keep_states)
    out.states = at::empty({v.size(0), first_state.size(1), first_state.size(2)}, first_state.options());
  for (const Step& step : steps) {
    const Operands at = operands.narrow(step.first, step.count);
    const at::Tensor X = out.last_state.narrow(0, 0, step.count), w = of(out.w_ECV, step);
    if (keep_states) of(out.states, step).copy_(X);
    if (has_delta) w.baddbmm_(of(solved_D, step), X, 1, -1);
    of(out.o_ECV, step).copy_(at::bmm(at.Q, X));
    pass_on(X, at);
    X.baddbmm_(at.Psi.mT(), w);
  }
  out.o_ECV.baddbmm_(operands.L, out.w_ECV);
  return out;
}

WalkAdjoint adjoint_of_walk(const Operands& operands, const std::vector<Step>& steps, const at::Tensor& w,
                            const at::Tensor& states, const at::Tensor& d_o, const at::Tensor& d_last_state) {
  const bool has_delta = operands.A.defined(), has_momentum = operands.b.defined();
  const std::int64_t E = w.size(0), Z = states.size(1), K = has_momentum ? Z / 2 : Z;
  Operands d{.Psi = at::empty_like(operands.Psi),
             .phi = at::empty({E, Z / K, K, 1}, w.options()),
             .b = has_momentum ? at::empty({E, K, 1}, w.options()) : at::Tensor()};
  // d_r = (I + A)⁻ᵀ (Lᵀ dO + Ψ dX⁺); without delta the inverse is not there.
  at::Tensor d_r = at::bmm(operands.L.mT(), d_o), solved_Psi = operands.Psi;
  if (has_delta) {
    const at::Tensor U = unit_lower_inverse(operands.A);
    d_r = at::bmm(U.mT(), d_r);
    solved_Psi = at::bmm(U.mT(), operands.Psi);
  }
  const at::Tensor d_X = d_last_state.clone();
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const Operands at = operands.narrow(step->first, step->count), d_at = d.narrow(step->first, step->count);
    const at::Tensor dX = d_X.narrow(0, 0, step->count), X = of(states, *step), dr = of(d_r, *step);
    dr.baddbmm_(of(solved_Psi, *step), dX);
    d_at.Psi.copy_(at::bmm(of(w, *step), dX.mT()));
    d_at.phi.view({step->count, Z, 1}).copy_((X * dX).sum(-1, true));
    if (has_momentum) d_at.b.copy_((halves_of(dX, true).S * halves_of(X, true).M).sum(-1, true)).neg_();
    pass_back(dX, at);
    dX.baddbmm_(at.Q.mT(), of(d_o, *step));
    if (has_delta) dX.baddbmm_(at.D.mT(), dr, 1, -1);
  }
  d.Q = at::bmm(d_o, states.mT());
  d.L = at::bmm(d_o, w.mT()).tril_();
  if (has_delta) {
    d.D = at::bmm(d_r, states.mT()).neg_();
    d.A = at::bmm(d_r, w.mT()).neg_().tril_(-1);
  }
  return {.operands = d, .v_ECV = d_r, .first_state = d_X};
}

}  // namespace mdnlab::scan::batched
