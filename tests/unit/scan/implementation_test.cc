// The choice among implementations, on a device type that has none but those added here.
#include "scan/implementation.h"

#include <ATen/ops/empty_like.h>
#include <gmock/gmock.h>

#include "base/error.h"
#include "cases.h"

namespace mdnlab::scan {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Inputs inputs_of_width(std::int64_t K, at::Device device = at::kMeta) {
  Inputs inputs = make_inputs({.shape = {.B = 1, .T = 3, .K = K}, .rule = {.delta = true}});
  for (at::Tensor* tensor : tensors(inputs)) {
    if (tensor->defined()) *tensor = tensor->detach().to(device);
  }
  return inputs;
}

std::string only_64(const Inputs& inputs) {
  const std::int64_t K = inputs.q_BTGK.size(3);
  return K == 64 ? "" : "K is " + std::to_string(K) + ", and it takes 64";
}
std::string at_most_96(const Inputs& inputs) { return inputs.q_BTGK.size(3) <= 96 ? "" : "K is above 96"; }

// Outputs tell who made them by the dtype.
template <at::ScalarType dtype>
Implementation made_in(const char* name, std::string (*refusal)(const Inputs&)) {
  return {.name = name,
          .refusal = refusal,
          .forward =
              [](const Inputs& in, const Options&, Saved*) {
                return Outputs{.o_BTHV = at::empty_like(in.v_BTHV, in.v_BTHV.options().dtype(dtype))};
              },
          .backward = nullptr,
          .step =
              [](const Inputs& in) {
                return Outputs{.o_BTHV = at::empty_like(in.v_BTHV, in.v_BTHV.options().dtype(dtype))};
              }};
}

template <class Call>
void expect_error(Code code, const std::string& message, const Call& call) {
  try {
    call();
    ADD_FAILURE() << "no error, but expected: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

TEST(ScanImplementation, IsTheLastAddedThatTakesTheInputsOrTheOneForced) {
  expect_error(Code::machine, "no kernel for this device; found meta, expected cpu",
               [] { chunk(inputs_of_width(64)); });
  EXPECT_TRUE(implementation_names(at::kMeta).empty());

  add_implementation(at::kMeta, made_in<at::kDouble>("wide", at_most_96));
  add_implementation(at::kMeta, made_in<at::kFloat>("narrow", only_64));
  EXPECT_THAT(implementation_names(at::kMeta), ElementsAre("narrow", "wide"));

  EXPECT_EQ(chunk(inputs_of_width(64)).o_BTHV.scalar_type(), at::kFloat);
  EXPECT_EQ(chunk(inputs_of_width(64), {.implementation = "wide"}).o_BTHV.scalar_type(), at::kDouble);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(chunk(inputs_of_width(96)).o_BTHV.scalar_type(), at::kDouble);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "warning: scan: the kernel 'wide' is used, because of 'narrow': K is 96, and it takes 64\n");

  expect_error(
      Code::machine,
      "no kernel takes these inputs on meta; 'narrow': K is 128, and it takes 64; 'wide': K is above 96",
      [] { chunk(inputs_of_width(128)); });
  expect_error(Code::machine,
               "the kernel 'narrow' does not take these inputs on meta: K is 96, and it takes 64",
               [] { chunk(inputs_of_width(96), {.implementation = "narrow"}); });
  expect_error(Code::machine, "the kernel 'wide' is there already",
               [] { add_implementation(at::kMeta, made_in<at::kFloat>("wide", only_64)); });

  Inputs token = inputs_of_width(64);
  for (at::Tensor* tensor : tensors(token)) {
    if (tensor->defined() && tensor != &token.initial_S_NHKV) *tensor = tensor->slice(1, 0, 1);
  }
  EXPECT_EQ(step(token).o_BTHV.scalar_type(), at::kFloat);
  EXPECT_EQ(step(token, "wide").o_BTHV.scalar_type(), at::kDouble);

  Implementation one_step = made_in<at::kHalf>("one step", at_most_96);
  one_step.step_refusal = only_64;
  add_implementation(at::kMeta, one_step);
  EXPECT_EQ(step(token).o_BTHV.scalar_type(), at::kHalf);
  expect_error(Code::machine, "the kernel 'one step' does not take these inputs on meta: K is 96",
               [] { choose(inputs_of_width(96), "one step", Pass::step); });
  EXPECT_EQ(choose(inputs_of_width(96), "one step").name, "one step");
}

TEST(ScanImplementation, OfTheProcessorAreTheseByName) {
  expect_error(Code::usage, "no kernel of cpu has this name; found 'cup'; did you mean 'cpu'?",
               [] { chunk(inputs_of_width(64, at::kCPU), {.implementation = "cup"}); });
  expect_error(Code::usage, "found 'atched'; did you mean 'batched'?",
               [] { require_implementation(at::kCPU, "atched"); });
  require_implementation(at::kCPU, "batched");
  const Inputs inputs = inputs_of_width(64, at::kCPU);
  expect_equal("o", chunk(inputs, {.implementation = "cpu"}).o_BTHV, chunk(inputs).o_BTHV);
}

}  // namespace

}  // namespace mdnlab::scan
