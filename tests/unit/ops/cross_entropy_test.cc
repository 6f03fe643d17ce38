// The head by chunks against the whole logits of LibTorch.
#include "ops/cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "ops/layer.h"

namespace mdnlab::ops {
namespace {

struct Problem {
  at::Tensor hidden, weight, labels;

  Problem(std::int64_t N, std::int64_t D, std::int64_t V, at::ScalarType dtype)
      : hidden(at::randn({N, D}).to(dtype).set_requires_grad(true)),
        weight((at::randn({V, D}) / std::sqrt(static_cast<double>(D)))
                   .to(dtype == at::kDouble ? at::kDouble : at::kFloat)
                   .set_requires_grad(true)),
        labels(at::randint(V, {N}, at::kLong)) {}

  std::int64_t bytes_of(std::int64_t rows) const {
    return rows * weight.size(0) * static_cast<std::int64_t>(hidden.element_size());
  }
  std::vector<at::Tensor> gradients(const at::Tensor& loss, const at::Tensor& adjoint = {}) const {
    return torch::autograd::grad({loss}, {hidden, weight}, {adjoint});
  }
};

double error(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor exact = expected.to(at::kDouble);
  return ((found.to(at::kDouble) - exact).norm() / (exact.norm() + 1e-30)).item<double>();
}

// In float64, of the values that the problem has.
at::Tensor exact_loss(Problem& problem) {
  problem.hidden = problem.hidden.detach().to(at::kDouble).set_requires_grad(true);
  problem.weight = problem.weight.detach().to(at::kDouble).set_requires_grad(true);
  return at::cross_entropy_loss(mdnlab::ops::linear(problem.hidden, problem.weight), problem.labels, {},
                                at::Reduction::Sum);
}

TEST(LinearCrossEntropy, IsTheLossOfWholeLogitsWithItsGradients) {
  for (const auto& [dtype, limit] :
       {std::pair(at::kDouble, 1e-14), {at::kFloat, 1e-6}, {at::kBFloat16, 1e-2}}) {
    for (const std::int64_t rows : {1, 2, 4, 64}) {  // of a chunk; 64: all of them
      const Problem problem(37, 24, 101, dtype);
      SCOPED_TRACE(testing::Message() << toString(dtype) << ", chunks of " << rows);
      const at::Tensor loss = linear_cross_entropy(problem.hidden, problem.weight, problem.labels, 1.0 / 37,
                                                   problem.bytes_of(rows));
      EXPECT_EQ(loss.scalar_type(), at::kDouble);
      const auto found = problem.gradients(loss);
      Problem exact = problem;
      const at::Tensor expected = exact_loss(exact) / 37;
      const auto gradients = exact.gradients(expected);
      EXPECT_LT(error(loss, expected), limit);
      for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_LT(error(found[i], gradients[i]), limit) << (i == 0 ? "hidden" : "weight");
        EXPECT_EQ(found[i].scalar_type(), (i == 0 ? problem.hidden : problem.weight).scalar_type());
      }
      const at::NoGradGuard no_grad;
      EXPECT_TRUE(at::equal(loss, linear_cross_entropy(problem.hidden, problem.weight, problem.labels,
                                                       1.0 / 37, problem.bytes_of(rows))))
          << "the loss alone";
    }
  }
}

TEST(LinearCrossEntropy, ARowWithoutALabelCountsNothing) {
  for (const auto& [dtype, limit] :
       {std::pair(at::kDouble, 1e-14), {at::kFloat, 1e-6}, {at::kBFloat16, 1e-2}}) {
    const Problem problem(37, 24, 101, dtype);
    for (const std::int64_t row : {0, 5, 6, 36}) problem.labels[row] = kNoLabel;
    const at::Tensor loss =
        linear_cross_entropy(problem.hidden, problem.weight, problem.labels, 1, problem.bytes_of(4));
    const auto found = problem.gradients(loss);
    Problem exact = problem;
    const at::Tensor expected = exact_loss(exact);  // of LibTorch, to which −100 is none either
    const auto gradients = exact.gradients(expected);
    EXPECT_LT(error(loss, expected), limit);
    for (std::size_t i = 0; i < 2; ++i) EXPECT_LT(error(found[i], gradients[i]), limit);
    EXPECT_TRUE((found[0].index_select(0, at::tensor({0, 5, 6, 36})) == 0).all().item<bool>());
  }
}

TEST(LinearCrossEntropy, GradientsAreThoseOfWhatIsMadeOfIt) {
  const Problem problem(9, 8, 17, at::kDouble);
  const at::Tensor loss =
      linear_cross_entropy(problem.hidden, problem.weight, problem.labels, 0.5, problem.bytes_of(4));
  const at::Tensor made = loss * loss;
  const auto found =
      torch::autograd::grad({made}, {problem.hidden, problem.weight}, {}, /*retain_graph=*/true);
  const auto again = problem.gradients(made);
  Problem exact = problem;
  const at::Tensor half = exact_loss(exact) * 0.5;
  const auto expected = exact.gradients(half * half);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_LT(error(found[i], expected[i]), 1e-14);
    EXPECT_TRUE(at::equal(found[i], again[i])) << "a graph that was kept";
  }
}

// A weight that is the embedding too, over the batches of a step.
TEST(LinearCrossEntropy, GradientsAddUp) {
  const Problem problem(9, 8, 17, at::kDouble);
  for (int batch = 0; batch < 2; ++batch) {
    const at::Tensor hidden = problem.weight.index_select(0, problem.labels) + problem.hidden;
    linear_cross_entropy(hidden, problem.weight, problem.labels, 1).backward();
  }
  Problem exact = problem;
  const at::Tensor whole = exact_loss(exact);  // makes leaves of float64
  const at::Tensor hidden = exact.weight.index_select(0, exact.labels) + exact.hidden;
  const at::Tensor twice = 2 * at::cross_entropy_loss(mdnlab::ops::linear(hidden, exact.weight), exact.labels,
                                                      {}, at::Reduction::Sum);
  const auto expected = exact.gradients(twice);
  EXPECT_LT(error(problem.hidden.grad(), expected[0]), 1e-14);
  EXPECT_LT(error(problem.weight.grad(), expected[1]), 1e-14);
}

TEST(LinearCrossEntropy, OneOfTheTwoMayBeGiven) {
  for (const bool learned : {false, true}) {
    const Problem problem(5, 4, 7, at::kFloat);
    const auto expected =
        problem.gradients(linear_cross_entropy(problem.hidden, problem.weight, problem.labels, 1));
    (learned ? problem.hidden : problem.weight).detach_().set_requires_grad(false);
    linear_cross_entropy(problem.hidden, problem.weight, problem.labels, 1).backward();
    EXPECT_TRUE(at::equal((learned ? problem.weight : problem.hidden).grad(), expected[learned ? 1 : 0]));
    EXPECT_FALSE((learned ? problem.hidden : problem.weight).grad().defined());
  }
}

TEST(LinearCrossEntropy, OfNoRowsIsZero) {
  const Problem problem(0, 4, 7, at::kFloat);
  const at::Tensor loss = linear_cross_entropy(problem.hidden, problem.weight, problem.labels, 1);
  EXPECT_EQ(loss.item<double>(), 0);
  EXPECT_TRUE(at::equal(problem.gradients(loss)[1], at::zeros({7, 4})));
}

// The filled-up vocabulary of a GPU, and nothing that is read back from one.
TEST(LinearCrossEntropy, RunsWhereThereIsNoMemory) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Problem here(9, 8, 17, dtype);
    Problem problem = here;
    problem.hidden = here.hidden.detach().to(at::kMeta).set_requires_grad(true);
    problem.weight = here.weight.detach().to(at::kMeta).set_requires_grad(true);
    problem.labels = here.labels.to(at::kMeta);
    const auto found = problem.gradients(
        linear_cross_entropy(problem.hidden, problem.weight, problem.labels, 1, problem.bytes_of(4)));
    EXPECT_EQ(found[0].sizes(), problem.hidden.sizes());
    EXPECT_EQ(found[1].sizes(), problem.weight.sizes());
    EXPECT_EQ(label_log_probabilities(problem.hidden, problem.weight, problem.labels).sizes(),
              at::IntArrayRef{9});
  }
}

TEST(LabelLogProbabilities, AreThoseOfTheSoftmax) {
  for (const std::int64_t rows : {1, 4, 64}) {
    const Problem problem(37, 24, 101, at::kFloat);
    const at::Tensor found =
        label_log_probabilities(problem.hidden, problem.weight, problem.labels, problem.bytes_of(rows));
    const at::Tensor expected = at::log_softmax(mdnlab::ops::linear(problem.hidden, problem.weight), -1)
                                    .gather(1, problem.labels.unsqueeze(1))
                                    .squeeze(1);
    EXPECT_FALSE(found.requires_grad());
    EXPECT_LT(error(found, expected.detach()), 1e-6);
  }
}

}  // namespace
}  // namespace mdnlab::ops
