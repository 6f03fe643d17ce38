// Escrow gates: momentum that no sequence of keys and gates can make grow. A write goes to an escrow first
// and is paid into the memory bit by bit, and all of it arrives: with the share ν that stays pending a token
// and the strength u of a write,
//
//     μ = αν      β = (1−ν)/ν      η = νu      p = παk
//     πu ≤ theta·u_max(ν) ,  u_max(ν) = 2c(1−ν²) / ((1+c)(1+cν²)) ,  theta < 1
//
// Then W = ‖S − M‖² + c‖M‖² satisfies W' ≤ max(α)²·W at v = 0, whatever the keys of length ≤ 1
// (plugins/family/README.md proves it). Without delta nothing is erased, every ν will do, and
// u ≤ 1 − max(α) keeps ‖S‖ ≤ max‖v‖.
#pragma once

#include <ATen/core/Tensor.h>

#include "config/params.h"
#include "rule/coefficients.h"

namespace mdnlab {

class Escrow {
 public:
  static constexpr double least_nu = 0.01;

  // Of escrow_c, escrow_theta and erase_share, which a rule without delta does not read.
  Escrow(const Params& options, bool has_delta);

  bool shares() const { return shares_; }  // takes π = sigmoid(e) from the gate e
  Initial mu_bias() const;  // with which ν starts near (1−πu)/(1+πu) in the middle of u and π

  // From the gates b, m (and e) and the parameter mu_bias, with α given; log_alpha may be undefined, or
  // channel-wise, and then mu_shares_alpha.
  //
  //     u = theta·x , x = range·sigmoid(b)      without delta: u = (1 − max α)·sigmoid(b), sigmoid(b) at α =
  //     1 ν = max(least_nu, ν_max(πx)·sigmoid(m + mu_bias))
  Coefficients coefficients(const at::Tensor& log_alpha, const GateInputs& inputs) const;

 private:
  template <class Number>
  Number most_nu(const Number& erased) const;  // ν_max

  bool has_delta_, shares_;
  double c_ = 0, theta_ = 0;
  double range_ = 1;  // of x: 1, or less where u_max(least_nu) is
};

}  // namespace mdnlab
