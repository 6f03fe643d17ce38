#include "ops/parts.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "scan/with_backward.h"

namespace mdnlab::ops {
namespace {

// x·y as our operations do it: the gradient of x where it belongs.
at::Tensor product(const at::Tensor& x, const at::Tensor& y) {
  return with_backward(
      {x, y},
      [&](Tensors& kept) {
        kept = {x, y};
        return Tensors{x * y};
      },
      [](const BackwardPass& pass) {
        at::Tensor dx = room_for_gradient(pass.kept[0]);
        dx.copy_(pass.adjoints[0] * pass.kept[1]);
        return Tensors{dx, {}};
      })[0];
}

struct Given {
  at::Tensor x = at::rand({2, 3, 11}).set_requires_grad(true), whole = x * 1;
  std::vector<at::Tensor> part = parts(whole, {{2, 2}, {4}, {3}});
  at::Tensor a = at::rand({2, 3, 2, 2}), b = at::rand({2, 3, 4}), c = at::rand({2, 3, 3});
};

at::Tensor gradient(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
  return at::cat({a.flatten(2), b, c}, 2);
}

TEST(Parts, AreViewsOneBehindTheOther) {
  const Given given;
  EXPECT_TRUE(at::equal(given.part[0], given.x.narrow(2, 0, 4).unflatten(2, {2, 2})));
  EXPECT_TRUE(at::equal(given.part[1], given.x.narrow(2, 4, 4)));
  EXPECT_TRUE(at::equal(given.part[2], given.x.narrow(2, 8, 3)));
  for (const at::Tensor& part : given.part) EXPECT_TRUE(part.is_alias_of(given.whole));
}

TEST(Parts, HaveTheirGradientsWrittenIntoThatOfTheWhole) {
  const Given given;
  at::Tensor of_whole, of_part;
  given.whole.register_hook([&](const at::Tensor& dx) { of_whole = dx; });
  given.part[1].register_hook([&](const at::Tensor& dx) { of_part = dx; });
  const at::Tensor loss = product(given.part[0], given.a).sum() + product(given.part[1], given.b).sum() +
                          (given.part[2] * given.c).sum();
  for (const bool keeps : {true, false}) {
    loss.backward({}, keeps);
    EXPECT_TRUE(of_part.is_alias_of(of_whole)) << "no copy";
    EXPECT_TRUE(at::equal(of_whole, gradient(given.a, given.b, given.c))) << "LibTorch's is copied";
  }
  EXPECT_TRUE(at::equal(given.x.grad(), 2 * of_whole)) << "a second pass leaves the first one's alone";
}

TEST(Parts, MayBeReadTwiceOrNotAtAll) {
  const Given given;
  const at::Tensor loss =
      product(given.part[0], given.a).sum() + product(given.part[0], 2 * given.a).sum() + given.part[1].sum();
  loss.backward();
  const at::Tensor expected = gradient(3 * given.a, at::zeros({2, 3, 4}) + 1, at::zeros({2, 3, 3}));
  EXPECT_TRUE(at::allclose(given.x.grad(), expected));
}

TEST(Parts, AnythingElseHasAGradientOfItsOwn) {
  const at::Tensor x = at::rand({2, 5}).set_requires_grad(true), y = at::rand({2, 5});
  EXPECT_EQ(room_for_gradient(x).sizes(), x.sizes());
  product(x, y).sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), y));
}

}  // namespace
}  // namespace mdnlab::ops
