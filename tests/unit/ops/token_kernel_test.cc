// The kernel of a token's operations, on the CPU: models of a layer or two, token after token.
#include <variant>

#include "decode_reference.h"
#include "ops/cuda/token.cu"

namespace mdnlab::ops::cuda {
namespace {

struct Shape {
  int R, blocks, tokens, hidden, H, G, K, V, inner, vocabulary, layers;
  bool has_taps;
  StepOptions step;
};

using Some = std::variant<RowsProduct, MixerStep>;

RowsProduct normed(Arrays& arrays, const Shape& of, const float* x) {
  RowsProduct product{.R = of.R, .K = of.hidden};
  product.norm = {.x_RK = x, .weight = arrays.floats(of.hidden, 1), .width = of.hidden, .eps = 1e-6F};
  return product;
}

void add_layer(Arrays& arrays, const Shape& of, float* x, std::vector<Some>& all) {
  const int R = of.R, values = of.H * of.V;
  RowsProduct in = normed(arrays, of, x), behind{.R = R, .K = of.V}, out{.R = R, .K = values};
  MixerStep step = random_step(arrays, R, of.H, of.G, of.K, of.V, of.step);
  const auto convolved = [&](const float* y, int N) {
    RowsPart& part = add_part(arrays, in, RowsOutput::convolve, N, const_cast<float*>(y));
    if (of.has_taps) add_taps(arrays, part, R, 4);
  };
  convolved(step.q_RGK, of.G * of.K);
  convolved(step.k_RGK, of.G * of.K);
  convolved(step.v_RHV, values);
  int used = 0, next = 0;
  for (int i = 0; i < kProjections; ++i) used += step.rule.uses(static_cast<GateProjection>(i));
  for (; next < used; ++next)
    add_part(arrays, in, RowsOutput::store, of.H, const_cast<__nv_bfloat16*>(step.gates_RPH) + next * of.H,
             used * of.H);
  const auto low_rank = [&](const __nv_bfloat16* y, int N, bool has_bias) {
    __nv_bfloat16* const narrow = arrays.halves(R * of.V, 1, "the narrow side");
    add_part(arrays, in, RowsOutput::store, of.V, narrow);
    RowsPart& part = add_part(arrays, behind, RowsOutput::store, N, const_cast<__nv_bfloat16*>(y));
    part.x = narrow;
    if (has_bias) part.bias = arrays.floats(N, 1);
  };
  if (step.channels_RHK) low_rank(step.channels_RHK, of.H * of.K, false);
  if (step.channels_RHK && step.gate_RHV) {
    low_rank(step.gate_RHV, values, true);
  } else if (step.gate_RHV) {
    add_part(arrays, in, RowsOutput::store, values, const_cast<__nv_bfloat16*>(step.gate_RHV));
  }
  step.o_RHV = arrays.floats(R * values, 1, "o");
  out.norm = norm_behind(step);
  add_part(arrays, out, RowsOutput::add, of.hidden, x);
  all.emplace_back(in);
  if (behind.parts > 0) all.emplace_back(behind);
  all.emplace_back(step);
  all.emplace_back(out);
  RowsProduct up = normed(arrays, of, x), down{.R = R, .K = of.inner};
  __nv_bfloat16* const inner = arrays.halves(R * of.inner, 1, "what swiglu gives");
  add_part(arrays, up, RowsOutput::swiglu, of.inner, inner);
  add_part(arrays, down, RowsOutput::add, of.hidden, x).x = inner;
  all.emplace_back(up);
  all.emplace_back(down);
}

void check(const Shape& of) {
  const std::string where = std::to_string(of.R) + " rows, " + std::to_string(of.blocks) + " blocks";
  Arrays arrays(static_cast<unsigned>(of.R + 10 * of.blocks));
  on_cpu::order.seed(static_cast<unsigned>(of.blocks));
  arrivals = 0;  // of another number of blocks
  float* const x = arrays.floats(of.R * of.hidden, 1, "the residual stream");
  std::vector<Some> all;
  for (int layer = 0; layer < of.layers; ++layer) add_layer(arrays, of, x, all);
  RowsProduct head = normed(arrays, of, x);
  add_part(arrays, head, RowsOutput::widen, of.vocabulary, arrays.floats(of.R * of.vocabulary, 1, "logits"));
  all.emplace_back(head);
  arrays.copy();
  const auto program = std::make_unique<Program>();
  for (int token = 0; token < of.tokens; ++token) {
    program->clear();
    for (const Some& one : all) {
      std::visit([&](const auto& problem) { ASSERT_TRUE(program->add(problem)); }, one);
      if (const auto* const product = std::get_if<RowsProduct>(&one)) {
        expect_product(arrays, *product);
      } else {
        expect_step(arrays, std::get<MixerStep>(one));
      }
    }
    ASSERT_EQ(run_program(*program, of.blocks, nullptr), cudaSuccess);
  }
  arrays.expect_equal(1e-2, where);  // where a sum is rounded the other way, what follows differs by as much
}

TEST(TokenKernel, SaysWhatTheOperationsSayOneByOne) {
  for (const auto& [R, blocks] : {std::pair{1, 5}, {3, 13}, {8, 5}, {8, 1}})
    check({R, blocks, 2, 256, 2, 2, 64, 128, 352, 101, 2, true, {.silu = false, .correction = true}});
}

TEST(TokenKernel, TakesRulesWithoutMomentumDeltaTapsAndGate) {
  check(
      {7, 13, 2, 320, 4, 2, 128, 64, 1056, 33, 1, false, {.momentum = false, .delta = false, .gate = false}});
}

TEST(TokenKernel, TakesChannelsAndLowRanks) {
  check({5, 4, 2, 256, 2, 2, 64, 128, 352, 77, 1, true, {.channels = true, .silu = true}});
}

TEST(TokenKernel, TakesWidthsOfMoreThanIsFetchedAtOnce) {
  check({1, 7, 1, 1056, 3, 3, 128, 256, 2816, 50, 1, true, {.silu = true}});
  check({6, 9, 1, 2080, 1, 1, 256, 512, 3104, 24, 1, true, {.silu = true}});
}

TEST(TokenKernel, RefusesWhatHasNoRoom) {
  Arrays arrays(1);
  const auto program = std::make_unique<Program>();
  program->clear();
  MixerStep step{};
  RowsProduct product{.R = 1, .K = 64};
  for (int i = 0; i < kMostParts; ++i) add_part(arrays, product, RowsOutput::store, 8, arrays.halves(8, 1));
  EXPECT_TRUE(program->add(step));
  EXPECT_FALSE(program->add(step)) << "its state is fetched while a product runs";
  int count = 1;
  while (program->add(product)) ++count;
  EXPECT_EQ(program->count, count);
  EXPECT_LE(16 * program->end, kProgramBytes);
  program->clear();
  EXPECT_TRUE(program->add(product));
}

}  // namespace
}  // namespace mdnlab::ops::cuda
