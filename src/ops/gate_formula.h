// The gates of the rules that are built in, per token and head, from the layer's projections a, b, m, e and
// learned values of the head. Written once, for tensors (gates.cc) and for what a GPU's thread computes with
// (cuda/jet.cuh):
//
//     log α   −exp(A_log)·softplus(a + dt_bias)
//     log ν   −exp(Mu_log)·softplus(m + mu_bias), at least min_log_mu
//     η       1 + tanh(e/τ), at least least_eta
//     β       most_beta·sigmoid(b), with momentum within a constraint:
//       paper            β·sin²θ and log α + log cos²θ, θ = atan(η·exp(log_factor))
//       effective_step   β·(1−ν)/η: a write adds up to β/η times as much as it would without momentum
//       escrow           u = theta·x , x = range·sigmoid(b) , π = sigmoid(e) where it shares, else 1 ,
//                        ν = max(least_nu, ν_max(πx)·sigmoid(m + mu_bias)) , β = (1−ν)/ν , η = νu ;
//                        without delta u = (1 − max α)·sigmoid(b) and ν_max = 1 (rule/escrow.h)
//
// ν is μ, but in escrow, where μ = αν. A discretised rule has β = softplus(b + dt_bias) and
// log α = −exp(A_log)·β.
#pragma once

#include <cmath>

#ifdef __CUDACC__
#define MDNLAB_DEVICE __device__ __forceinline__
#else
#define MDNLAB_DEVICE inline
#endif

namespace mdnlab::ops {

enum class GateConstraint { none, paper, effective_step, escrow };

enum GateProjection { kA, kB, kM, kE, kProjections };
enum GateParameter { kALog, kDtBias, kMuLog, kMuBias, kLogFactor, kGateParameters };
enum Gate { kLogAlpha, kLogMu, kBeta, kEta, kEraseShare, kGates };

// What there is, and its constants, of the kind of numbers that compute with them.
template <class Real>
struct GateRuleOf {
  static constexpr Real least_nu = Real(0.01);  // of escrow

  bool discretised = false;
  bool has_decay = false;  // log α from a
  bool has_step = true;    // β; without, nothing but log α
  bool has_momentum = false, has_delta = false;
  GateConstraint constraint = GateConstraint::none;  // of momentum
  bool shares = false;                               // π, of escrow
  Real most_beta = 1;
  bool floors_log_mu = false;
  Real min_log_mu = 0;
  Real tau = 1, least_eta = 0;  // least_eta 0: no floor
  Real c = 2, theta = 0, range = 1;

  constexpr bool is_escrow() const { return has_momentum && constraint == GateConstraint::escrow; }
  constexpr bool has_eta() const { return has_momentum && has_delta && !is_escrow(); }

  constexpr bool uses(GateProjection x) const {
    switch (x) {
      case kA: return has_decay;
      case kB: return has_step || discretised;
      case kM: return has_momentum;
      default: return has_eta() || shares;
    }
  }
  constexpr bool uses(GateParameter w) const {
    switch (w) {
      case kALog:
      case kDtBias: return has_decay || discretised;
      case kMuLog: return has_momentum && !is_escrow();
      case kMuBias: return has_momentum;
      default: return has_momentum && constraint == GateConstraint::paper;
    }
  }
  constexpr bool gives(Gate gate) const {
    switch (gate) {
      case kLogAlpha:
        return has_decay || discretised || (has_momentum && constraint == GateConstraint::paper);
      case kLogMu: return has_momentum;
      case kBeta: return has_step || discretised;
      case kEta: return has_eta() || is_escrow();
      default: return shares;
    }
  }

  template <class Other>
  constexpr GateRuleOf<Other> as() const {
    return {.discretised = discretised,
            .has_decay = has_decay,
            .has_step = has_step,
            .has_momentum = has_momentum,
            .has_delta = has_delta,
            .constraint = constraint,
            .shares = shares,
            .most_beta = Other(most_beta),
            .floors_log_mu = floors_log_mu,
            .min_log_mu = Other(min_log_mu),
            .tau = Other(tau),
            .least_eta = Other(least_eta),
            .c = Other(c),
            .theta = Other(theta),
            .range = Other(range)};
  }
};
using GateRule = GateRuleOf<double>;

// u_max(ν) = x solved for ν: ν² = (2c − (1+c)x) / (2c + c(1+c)x).
template <class Number, class Real>
MDNLAB_DEVICE Number most_nu(Real c, const Number& erased) {
  using std::sqrt;
  return sqrt((2 * c - (1 + c) * erased) / (2 * c + c * (1 + c) * erased));
}

template <class Number>
MDNLAB_DEVICE Number decay_log_gate(const Number& x, const Number& rate_log, const Number& bias) {
  return -exp(rate_log) * softplus(x + bias);
}

// From log α where there is one. `kept`: log of the head's largest α where it has channels, for a rule
// without delta; else null.
template <class Number, class Real>
MDNLAB_DEVICE void escrow_gates(const GateRuleOf<Real>& rule, const Number* x, const Number* w,
                                const Number* kept, Number* gates) {
  Number u = sigmoid(x[kB]), nu = sigmoid(x[kM] + w[kMuBias]);
  if (rule.has_delta) {
    Number erased = u * rule.range;
    u = erased * rule.theta;
    if (rule.shares) {
      gates[kEraseShare] = sigmoid(x[kE]);
      erased = erased * gates[kEraseShare];
    }
    nu = most_nu(rule.c, erased) * nu;
  } else if (rule.has_decay || kept) {
    u = u * -expm1(rule.has_decay ? gates[kLogAlpha] : *kept);
  }
  nu = clamp_min(nu, GateRuleOf<Real>::least_nu);
  gates[kBeta] = (1 - nu) / nu;
  gates[kEta] = nu * u;
  gates[kLogMu] = log(nu);
  if (rule.has_decay) gates[kLogMu] = gates[kLogAlpha] + gates[kLogMu];
}

// Fills of `gates` what the rule gives, from those of x and w that it uses; `kept` as above.
template <class Number, class Real>
MDNLAB_DEVICE void gates_of(const GateRuleOf<Real>& rule, const Number* x, const Number* w,
                            const Number* kept, Number* gates) {
  if (rule.discretised) {
    gates[kBeta] = softplus(x[kB] + w[kDtBias]);
    gates[kLogAlpha] = gates[kBeta] * -exp(w[kALog]);
    return;
  }
  if (rule.has_decay) gates[kLogAlpha] = decay_log_gate(x[kA], w[kALog], w[kDtBias]);
  if (!rule.has_step) return;
  if (rule.is_escrow()) return escrow_gates(rule, x, w, kept, gates);
  gates[kBeta] = sigmoid(x[kB]);
  if (!rule.has_momentum) {
    gates[kBeta] = gates[kBeta] * rule.most_beta;
    return;
  }
  gates[kLogMu] = decay_log_gate(x[kM], w[kMuLog], w[kMuBias]);
  if (rule.floors_log_mu) gates[kLogMu] = clamp_min(gates[kLogMu], rule.min_log_mu);
  if (rule.has_eta()) gates[kEta] = tanh(x[kE] / rule.tau) + 1;
  if (rule.has_eta() && rule.least_eta > 0) gates[kEta] = clamp_min(gates[kEta], rule.least_eta);
  if (rule.constraint == GateConstraint::paper) {
    // with z = tan θ: sin²θ = z²/(1 + z²), log cos²θ = −log(1 + z²)
    const Number factor = exp(w[kLogFactor]);
    const Number squared = square(rule.has_eta() ? gates[kEta] * factor : factor);
    gates[kBeta] = gates[kBeta] * (squared / (1 + squared));
    const Number log_cosine = log1p(squared);
    gates[kLogAlpha] = rule.has_decay ? gates[kLogAlpha] - log_cosine : -log_cosine;
  }
  if (rule.constraint == GateConstraint::effective_step) {
    gates[kBeta] = gates[kBeta] * -expm1(gates[kLogMu]);
    if (rule.has_eta()) gates[kBeta] = gates[kBeta] / gates[kEta];
  }
}

}  // namespace mdnlab::ops
