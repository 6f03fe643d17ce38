// The chunkwise form against the float64 recurrence: outputs, states and every gradient, over rules and
// gates.
#include <algorithm>

#include "cases.h"

namespace mdnlab::scan {

namespace {

struct Gates {
  const char* name;
  double log_alpha, log_mu;
  double largest_beta = 0.3;  // where writes last, small enough for the state to stay below 1e3
};
constexpr Gates kGates[] = {{"slow", -1e-4, -1e-4, 0.005},
                            {"tenth", -0.1, -0.1},
                            {"one", -1, -1},
                            {"five", -5, -5},
                            {"twenty", -20, -20},
                            {"mixed", kRandomGates, kRandomGates},
                            {"mu_two", -0.01, -2},
                            {"mu_four", -0.01, -4}};

constexpr Rule kMdn{.delta = true, .momentum = true};
constexpr Rule kChannelMdn{.delta = true, .momentum = true, .channel_decay = true, .channel_mu = true};

constexpr double kLargestState = 1e3;

double tolerance(at::ScalarType dtype) { return dtype == at::kFloat ? 1e-5 : 1e-12; }

void compare(const Settings& settings, const Options& options = {.chunk_size = 0, .want_state = true}) {
  SCOPED_TRACE(name(settings.rule) + ", " + c10::toString(settings.dtype) + ", seed " +
               std::to_string(settings.seed));
  const Inputs inputs = make_inputs(settings);
  const Outputs expected = reference(inputs);
  for (const at::Tensor* state : {&expected.final_S_NHKV, &expected.final_M_NHKV}) {
    if (!state->defined()) continue;
    ASSERT_LT(state->abs().max().item<double>(), kLargestState);
  }
  expect_agree(inputs, chunk(inputs, options), expected, tolerance(settings.dtype));
}

class Accuracy : public testing::TestWithParam<Gates> {};

TEST_P(Accuracy, OfEveryRuleAtTheseGates) {
  const Gates gates = GetParam();
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    for (const Rule& rule : kRules) {
      compare({.shape = {.B = 1, .T = 101, .H = 2, .G = 2, .K = 32, .V = 24},
               .rule = rule,
               .dtype = dtype,
               .log_alpha = gates.log_alpha,
               .log_mu = gates.log_mu,
               .largest_beta = gates.largest_beta});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Gates, Accuracy, testing::ValuesIn(kGates),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ScanAccuracy, HoldsOverAThousandTokens) {
  for (const Rule& rule : {kMdn, kChannelMdn}) {
    compare({.shape = {.B = 1, .T = 1024, .H = 1, .G = 1, .K = 64, .V = 64},
             .rule = rule,
             .dtype = at::kFloat,
             .log_alpha = -1e-4,
             .log_mu = -0.1,
             .largest_beta = 0.05});
  }
}

TEST(ScanAccuracy, AtRaggedLengthsWithAndWithoutAState) {
  constexpr std::int64_t C = 32;
  for (const std::int64_t T : {std::int64_t{1}, C - 1, C, C + 1, std::int64_t{127}}) {
    for (const bool initial_state : {false, true}) {
      for (const Rule& rule : {kMdn, kChannelMdn}) {
        SCOPED_TRACE("T = " + std::to_string(T));
        compare({.shape = {.B = 2, .T = T, .H = 1, .G = 1, .K = 8, .V = 5},
                 .rule = rule,
                 .initial_state = initial_state},
                {.chunk_size = C, .want_state = true});
      }
    }
  }
}

TEST(ScanAccuracy, AtEveryChunkSizeAndOddWidths) {
  for (const std::int64_t chunk_size : {1, 2, 7, 16, 32, 64, 200}) {
    for (const Rule& rule : {kRules[1], kRules[2], kRules[5], kChannelMdn}) {
      SCOPED_TRACE("chunk size " + std::to_string(chunk_size));
      compare({.shape = {.B = 1, .T = 77, .H = 1, .G = 1, .K = 17, .V = 33}, .rule = rule},
              {.chunk_size = chunk_size, .want_state = true});
    }
  }
}

TEST(ScanAccuracy, ForManyRowsOfWideKeys) {
  compare(
      {.shape = {.B = 130, .T = 33, .H = 1, .G = 1, .K = 512, .V = 2}, .rule = kMdn, .dtype = at::kFloat});
}

TEST(ScanAccuracy, WhereKeyHeadsAreShared) {
  for (const Rule& rule : kRules)
    compare({.shape = {.B = 2, .T = 40, .H = 6, .G = 2, .K = 8, .V = 8}, .rule = rule});
}

TEST(ScanAccuracy, WithoutOptionalTensors) {
  for (const Rule& rule : {kRules[0], kRules[2], kRules[6], kRules[9], kChannelMdn}) {
    Inputs inputs = make_inputs({.rule = rule, .initial_state = false});
    inputs.v_BTHV = inputs.v_BTHV.detach().mul(0.1).requires_grad_(true);
    inputs.k_BTGK = inputs.k_BTGK.detach().mul(0.5).requires_grad_(true);
    inputs.beta_BTH = inputs.eta_BTH = at::Tensor();
    if (!rule.channel_decay) inputs.log_alpha = at::Tensor();
    expect_agree(inputs, chunk(inputs, {.want_state = true}), reference(inputs), 1e-12);
  }
}

TEST(ScanAccuracy, OfHalfPrecisionIsThatOfItsRounding) {
  // Inputs and outputs carry 8 or 11 bits; the scan itself runs in float32, so one rounding is all it may
  // add.
  for (const auto& [dtype, rounding] :
       {std::pair{at::kBFloat16, 1.0 / 512}, std::pair{at::kHalf, 1.0 / 4096}}) {
    for (const Rule& rule : {kMdn, kChannelMdn}) {
      SCOPED_TRACE(c10::toString(dtype));
      const Inputs inputs = make_inputs({.rule = rule, .dtype = dtype});
      const Outputs actual = chunk(inputs, {.want_state = true}), expected = reference(inputs);
      EXPECT_EQ(actual.o_BTHV.scalar_type(), dtype);
      EXPECT_EQ(actual.final_S_NHKV.scalar_type(), at::kFloat);
      expect_close("S", actual.final_S_NHKV, expected.final_S_NHKV, 1e-5);
      expect_close("o", actual.o_BTHV, expected.o_BTHV, rounding);
      const auto found = gradients(inputs, actual), wanted = gradients(inputs, expected);
      for (std::size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(found[i].tensor.scalar_type(), named(inputs)[i].tensor.scalar_type()) << found[i].name;
        expect_close("gradient of " + found[i].name, found[i].tensor, wanted[i].tensor, 2 * rounding);
      }
    }
  }
}

}  // namespace

}  // namespace mdnlab::scan
