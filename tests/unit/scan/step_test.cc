// One token at a time, as in decoding.
#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include "base/error.h"
#include "cases.h"
#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

TEST(ScanStep, ReproducesTheRecurrenceTokenByToken) {
  const c10::AutoGradMode no_grad(false);
  for (const Rule& rule : kRules) {
    for (const bool initial_state : {false, true}) {
      SCOPED_TRACE(name(rule));
      const Inputs inputs = make_inputs({.shape = {.B = 3, .T = 9, .H = 4, .G = 2, .K = 12, .V = 7},
                                         .rule = rule,
                                         .initial_state = initial_state});
      Outputs last{{}, inputs.initial_S_NHKV, inputs.initial_M_NHKV};
      std::vector<at::Tensor> o;
      for (std::int64_t t = 0; t < 9; ++t) {
        Inputs token = inputs;
        for (at::Tensor* tensor : tensors(token)) {
          if (tensor->defined()) *tensor = tensor->slice(1, t, t + 1);
        }
        token.initial_S_NHKV = last.final_S_NHKV;
        token.initial_M_NHKV = last.final_M_NHKV;
        last = step(token);
        o.push_back(last.o_BTHV);
      }
      const Outputs expected = reference(inputs);
      expect_close("o", at::cat(o, 1), expected.o_BTHV, 1e-14);
      expect_close("S", last.final_S_NHKV, expected.final_S_NHKV, 1e-14);
      if (rule.momentum) expect_close("M", last.final_M_NHKV, expected.final_M_NHKV, 1e-14);
    }
  }
}

TEST(ScanStep, InFloat32AndBFloat16) {
  const c10::AutoGradMode no_grad(false);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Inputs inputs = make_inputs({.shape = {.B = 2, .T = 1, .H = 2, .G = 2, .K = 64, .V = 64},
                                       .rule = {.delta = true, .momentum = true},
                                       .dtype = dtype});
    const Outputs out = step(inputs), expected = reference(inputs);
    EXPECT_EQ(out.o_BTHV.scalar_type(), dtype);
    expect_close("S", out.final_S_NHKV, expected.final_S_NHKV, 1e-6);
    expect_close("o", out.o_BTHV, expected.o_BTHV, dtype == at::kFloat ? 1e-6 : 1.0 / 512);
  }
}

TEST(ScanStep, LeavesTheStateItWasGivenAlone) {
  const c10::AutoGradMode no_grad(false);
  const Inputs inputs = make_inputs({.shape = {.T = 1}, .rule = {.delta = true, .momentum = true}});
  const at::Tensor before = inputs.initial_S_NHKV.clone();
  step(inputs);
  expect_equal("S", inputs.initial_S_NHKV, before);
}

// Decoding that somebody differentiates.
TEST(ScanStep, HasTheGradientsOfTheRecurrence) {
  for (const Rule& rule : kRules) {
    SCOPED_TRACE(name(rule));
    const Inputs inputs = make_inputs({.shape = {.T = 1}, .rule = rule});
    expect_agree(inputs, step(inputs), reference(inputs), 1e-13);
  }
}

TEST(ScanStep, RefusesMoreThanOneToken) {
  try {
    step(make_inputs({.shape = {.T = 2}}));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(),
                testing::HasSubstr("step takes one token a sequence; found T = 2, expected T = 1"));
  }
}

}  // namespace

}  // namespace mdnlab::scan
