// Every mistake in the inputs is named, with what was found and what is expected.
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <functional>

#include "base/error.h"
#include "cases.h"
#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

struct Mistake {
  std::function<void(Inputs&)> make;
  std::string message;
};

at::Tensor ints(const std::vector<int>& values) {
  return at::tensor(values, at::TensorOptions().dtype(at::kInt));
}

void expect_refused(Inputs inputs, const Mistake& mistake) {
  mistake.make(inputs);
  for (const auto& call :
       {std::function<void()>([&] { validate(inputs); }), std::function<void()>([&] { chunk(inputs); })}) {
    try {
      call();
      ADD_FAILURE() << "accepted, but expected: " << mistake.message;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::usage);
      EXPECT_THAT(error.what(), testing::HasSubstr(mistake.message));
    }
  }
}

TEST(ScanInputs, WithAMistakeAreRefusedByName) {
  const std::vector<Mistake> mistakes = {
      {[](Inputs& in) { in.q_BTGK = at::Tensor(); },
       "scan: q has the wrong shape; found an undefined tensor"},
      {[](Inputs& in) { in.q_BTGK = in.q_BTGK[0]; },
       "q has the wrong shape; found [6,2,4], expected [B,T,G,K]"},
      {[](Inputs& in) { in.q_BTGK = in.q_BTGK.to(at::kLong); }, "q has the wrong dtype; found Long"},
      {[](Inputs& in) { in.k_BTGK = in.k_BTGK.slice(1, 1); },
       "k has the wrong shape; found [2,5,2,4], expected [B,T,G,K] = [2,6,2,4]"},
      {[](Inputs& in) { in.k_BTGK = in.k_BTGK.to(at::kFloat); },
       "k has the wrong dtype; found Float, expected Double"},
      {[](Inputs& in) { in.v_BTHV = in.v_BTHV.slice(2, 1); },
       "v has the wrong number of heads; found 3, expected a multiple of q's 2 key heads"},
      {[](Inputs& in) { in.v_BTHV = in.v_BTHV.slice(0, 1); }, "v has the wrong shape; found [1,6,4,3]"},
      {[](Inputs& in) { in.log_alpha = in.log_alpha.unsqueeze(3); },
       "log_alpha has the wrong shape; found [2,6,4,1], expected [B,T,H,K] = [2,6,4,4]"},
      {[](Inputs& in) { in.log_alpha = in.log_alpha.slice(2, 1); },
       "log_alpha has the wrong shape; found [2,6,3], expected [B,T,H] = [2,6,4]"},
      {[](Inputs& in) {
         in.log_mu = in.log_mu.unsqueeze(3).repeat({1, 1, 1, 4});
       },
       "expected [B,T,H] = [2,6,4]; momentum is channel-wise only where log_alpha is"},
      {[](Inputs& in) { in.log_mu = in.log_mu.to(at::kFloat); }, "log_mu has the wrong dtype"},
      {[](Inputs& in) { in.mu_shares_alpha = true; },
       "mu_shares_alpha has the wrong gates; found log_alpha [2,6,4], log_mu [2,6,4], expected log_alpha "
       "[B,T,H,K], log_mu [B,T,H]"},
      {[](Inputs& in) { in.beta_BTH = in.beta_BTH.slice(2, 1); }, "beta has the wrong shape"},
      {[](Inputs& in) { in.eta_BTH = in.eta_BTH.slice(1, 1); }, "eta has the wrong shape"},
      {[](Inputs& in) { in.p_BTHK = in.p_BTHK.slice(2, 0, 2); },
       "p has the wrong shape; found [2,6,2,4], expected [B,T,H,K] = [2,6,4,4]"},
      {[](Inputs& in) { in.has_delta = false; }, "p is given to a rule without delta"},
      {[](Inputs& in) { in.initial_S_NHKV = in.initial_S_NHKV.slice(0, 1); },
       "initial_S has the wrong shape; found [1,4,4,3], expected [N,H,K,V] = [2,4,4,3]"},
      {[](Inputs& in) {
         in.log_mu = in.initial_M_NHKV = at::Tensor();
         in.look_ahead = 1;
       },
       "look_ahead is given to a rule without momentum"},
      {[](Inputs& in) { in.log_mu = at::Tensor(); }, "initial_M is given to a rule without momentum"},
      {[](Inputs& in) { in.k_BTGK = in.k_BTGK.to(at::kMeta); },
       "k has the wrong device; found meta, expected cpu"},
      {[](Inputs& in) {
         in.cu_seqlens = ints({0, 6, 12}).to(at::kLong);
       },
       "cu_seqlens has the wrong dtype"},
      {[](Inputs& in) {
         in.cu_seqlens = ints({0, 6, 12}).view({1, 3});
       },
       "cu_seqlens has the wrong shape"},
      {[](Inputs& in) {
         in.cu_seqlens = ints({1, 6, 12});
       },
       "cu_seqlens has the wrong first value; found 1, expected 0"},
      {[](Inputs& in) {
         in.cu_seqlens = ints({0, 6, 11});
       },
       "cu_seqlens has the wrong last value; found 11, expected B·T = 12"},
      {[](Inputs& in) {
         in.cu_seqlens = ints({0, 6, 8, 7, 12});
       },
       "cu_seqlens has the wrong order; found 7 after 8, expected values that rise"},
      {[](Inputs& in) {
         in.cu_seqlens = ints({0, 5, 7, 12});
       },
       "a document of tokens 5 to 7, expected the row start 6 among them; a document lies in one row"},
      {[](Inputs& in) {
         in.cu_seqlens = ints({0, 3, 6, 12});
       },
       "initial_S has the wrong shape; found [2,4,4,3], expected [N,H,K,V] = [3,4,4,3]"},
  };
  const Inputs right = make_inputs({.shape = {.B = 2, .T = 6, .H = 4, .G = 2, .K = 4, .V = 3},
                                    .rule = {.delta = true, .momentum = true, .own_p = true}});
  EXPECT_NO_THROW(validate(right));
  for (const Mistake& mistake : mistakes) expect_refused(right, mistake);
}

TEST(ScanInputs, GatesOfHalfRowsAreFloat32) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    Inputs inputs = make_inputs({.rule = {.delta = true}, .dtype = dtype});
    EXPECT_NO_THROW(validate(inputs));
    inputs.beta_BTH = inputs.beta_BTH.to(dtype);
    EXPECT_THROW(validate(inputs), Error);
  }
}

}  // namespace

}  // namespace mdnlab::scan
