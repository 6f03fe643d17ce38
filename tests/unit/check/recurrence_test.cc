// Kernels with one fault each: the suite names it.
#include "check/recurrence.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/zeros_like.h>
#include <gmock/gmock.h>

#include <functional>

namespace mdnlab::check {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

constexpr Recurrence kMdn{.delta = true, .momentum = true, .decay = Decay::scalar};

std::vector<std::string> failed(const Verdict& verdict) {
  std::vector<std::string> names;
  for (const Case& row : verdict.cases()) {
    if (!row.passed) names.push_back(row.name);
  }
  return names;
}

std::vector<std::string> failed_against_reference(const Kernel& kernel, const Recurrence& recurrence = kMdn) {
  Verdict verdict;
  check_against_reference(recurrence, kernel, 3, verdict);
  return failed(verdict);
}

std::vector<std::string> failed_structure(const Kernel& kernel) {
  Verdict verdict;
  check_structure(kMdn, kernel, 3, verdict);
  return failed(verdict);
}

// The scan with its inputs or its outputs changed.
Kernel with_inputs(std::function<void(scan::Inputs&)> change) {
  return {.chunk = [change](scan::Inputs in, const scan::Options& options) {
    change(in);
    return scan::chunk(in, options);
  }};
}
Kernel with_outputs(std::function<void(scan::Outputs&, const scan::Inputs&)> change) {
  return {.chunk = [change](const scan::Inputs& in, const scan::Options& options) {
    scan::Outputs out = scan::chunk(in, options);
    change(out, in);
    return out;
  }};
}

class EveryCell : public testing::TestWithParam<Recurrence> {};

TEST_P(EveryCell, PassesWithTheScanOfTheLibrary) {
  EXPECT_THAT(failed(check_recurrence(GetParam(), {}, 2)), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Cells, EveryCell,
                         testing::Values(Recurrence{}, kMdn,
                                         Recurrence{.delta = true, .decay = Decay::channel},
                                         Recurrence{true, true, Decay::channel}));

TEST(NarrowKernel, IsCheckedAtTheWidthsAndDtypesThatItTakes) {
  // As a kernel of matrix units is: one width, bf16, and a step that takes more.
  Kernel kernel{.refusal_of_chunk =
                    [](const scan::Inputs& in) {
                      if (in.q_BTGK.scalar_type() != at::kBFloat16) return "q is not bf16";
                      return in.q_BTGK.size(3) == 64 && in.v_BTHV.size(3) % 64 == 0 ? "" : "K is not 64";
                    },
                .name = "narrow"};
  const auto chunk = kernel.chunk;
  kernel.chunk = [&](const scan::Inputs& in, const scan::Options& options) {
    EXPECT_EQ(kernel.refusal_of_chunk(in), "");
    return chunk(in, options);
  };
  const Verdict verdict = check_recurrence({.delta = true, .decay = Decay::scalar}, kernel, 3);
  EXPECT_THAT(failed(verdict), IsEmpty());
  EXPECT_THAT(verdict.left_out(), testing::ElementsAre("q is not bf16"));
  std::vector<std::string> names;
  for (const Case& row : verdict.cases()) {
    names.push_back(row.name);
    EXPECT_EQ(row.kernel, "narrow");
    EXPECT_TRUE(row.dtype == "bf16" || row.group == "recurrence/step") << row.name;
  }
  EXPECT_THAT(names, IsSupersetOf({"recurrence/length/T=65/bf16/d_log_alpha", "recurrence/split/bf16/o",
                                   "recurrence/repeat/again/bf16/d_q", "recurrence/step/f64/o"}));
}

TEST(BrokenKernel, WithADecayThatIsOneStepLate) {
  const auto names = failed_against_reference(with_inputs([](scan::Inputs& in) {
    if (in.log_alpha.defined()) in.log_alpha = in.log_alpha.roll(1, 1);
  }));
  EXPECT_THAT(names, IsSupersetOf({"recurrence/length/T=67/f64/o", "recurrence/length/T=67,state/bf16/o",
                                   "recurrence/gates/slow/f32/d_log_alpha"}));
  EXPECT_THAT(names, Not(Contains("recurrence/length/T=1/f64/o")));
}

TEST(BrokenKernel, WithoutTheGradientOfEta) {
  const auto names = failed_against_reference(with_inputs([](scan::Inputs& in) {
    if (in.eta_BTH.defined()) in.eta_BTH = in.eta_BTH.detach();
  }));
  EXPECT_THAT(names, Contains("recurrence/gates/mixed/f32/d_eta"));
  for (const std::string& name : names) EXPECT_TRUE(name.ends_with("/d_eta")) << name;
}

TEST(BrokenKernel, ThatRoundsToBFloat16TwiceMoreThanItMay) {
  const auto names = failed_against_reference(with_outputs([](scan::Outputs& out, const scan::Inputs& in) {
    if (in.q_BTGK.scalar_type() == at::kBFloat16) out.o_BTHV = out.o_BTHV * (1 + 0x1p-6);
  }));
  EXPECT_THAT(names, Contains("recurrence/gates/mixed/bf16/o"));
  EXPECT_THAT(names, Not(Contains(testing::HasSubstr("/f32/"))));
}

TEST(BrokenKernel, ThatKeepsTheStateAcrossDocuments) {
  const auto names = failed_structure(with_inputs([](scan::Inputs& in) {
    if (!in.cu_seqlens.defined() || in.initial_S_NHKV.defined()) return;
    in.cu_seqlens = at::Tensor();
  }));
  EXPECT_THAT(names, Contains(testing::StartsWith("recurrence/padding/document/f64/")));
  const auto judged = failed_against_reference(with_inputs([](scan::Inputs& in) {
    if (!in.initial_S_NHKV.defined()) in.cu_seqlens = at::Tensor();
  }));
  EXPECT_THAT(judged, Contains("recurrence/documents/reference,no_state/f64/o"));
}

TEST(BrokenKernel, ThatLooksAhead) {
  const auto names = failed_structure(with_outputs([](scan::Outputs& out, const scan::Inputs& in) {
    out.o_BTHV = out.o_BTHV + 1e-14 * in.v_BTHV.roll(-1, 1);  // far below any tolerance
  }));
  EXPECT_THAT(names,
              IsSupersetOf({"recurrence/causality/t=16/f64/o", "recurrence/causality/t=40,NaN/f32/o"}));
}

TEST(BrokenKernel, ThatForgetsTheVelocityBetweenCalls) {
  const auto names = failed_structure({.chunk =
                                           [](const scan::Inputs& in, const scan::Options& options) {
                                             scan::Outputs out = scan::chunk(in, options);
                                             out.final_M_NHKV = out.final_M_NHKV * 0;
                                             return out;
                                           },
                                       .step =
                                           [](const scan::Inputs& in) {
                                             scan::Outputs out = scan::step(in);
                                             out.final_M_NHKV.zero_();
                                             return out;
                                           }});
  EXPECT_THAT(names, IsSupersetOf({"recurrence/split/f64/o", "recurrence/step/f64/o"}));
}

TEST(BrokenKernel, ThatLosesTheStateInLowPrecision) {
  const auto names = failed_structure(with_outputs([](scan::Outputs& out, const scan::Inputs& in) {
    if (in.q_BTGK.scalar_type() == at::kBFloat16) out.final_S_NHKV = out.final_S_NHKV * 0.9;
  }));
  EXPECT_THAT(names, Contains("recurrence/split/bf16/o"));
  EXPECT_THAT(names, Not(Contains(testing::HasSubstr("/f32/"))));
}

TEST(BrokenKernel, ThatMixesHeads) {
  const auto names = failed_structure(with_outputs([](scan::Outputs& out, const scan::Inputs&) {
    out.o_BTHV = out.o_BTHV + 0 * out.o_BTHV.mean(2, true);
  }));
  EXPECT_THAT(names, Contains("recurrence/padding/head/f32/o"));
  EXPECT_THAT(names, Not(Contains(testing::HasSubstr("padding/row"))));
}

TEST(BrokenKernel, ThatReadsMemoryNobodyWrote) {
  const auto names = failed_structure(with_outputs([](scan::Outputs& out, const scan::Inputs&) {
    out.o_BTHV = out.o_BTHV + at::empty_like(out.o_BTHV).isnan().to(out.o_BTHV.scalar_type());
  }));
  EXPECT_THAT(names, Contains("recurrence/memory/poisoned/f32/o"));
}

TEST(BrokenKernel, ThatThrows) {
  const auto names =
      failed_structure({.chunk = [](const scan::Inputs&, const scan::Options&) -> scan::Outputs {
        throw std::runtime_error("no kernel");
      }});
  EXPECT_THAT(names, IsSupersetOf({"recurrence/split/f64/runs", "recurrence/memory/f32/runs"}));
}

}  // namespace
}  // namespace mdnlab::check
