#include "scan/remade.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/custom_function.h>

namespace mdnlab {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// x·y, with both kept as our functions keep what they are given.
class Product : public torch::autograd::Function<Product> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& y) {
    save_or_remake(context, {x, at::Tensor(), y});
    return x * y;
  }
  static variable_list backward(AutogradContext* context, const variable_list& adjoints) {
    const variable_list saved = saved_or_remade(context);
    EXPECT_FALSE(saved[1].defined());
    return {adjoints[0] * saved[2], adjoints[0] * saved[0]};
  }
};

at::Tensor learned() { return at::rand({3, 4}, at::kDouble).set_requires_grad(true); }

struct Squares {
  explicit Squares(const at::Tensor& of) : x(of), made({x.square(), x.square() * x}) {
    remake(made, [this, given = x.detach()] {
      ++calls;
      const at::Tensor square = given.square();
      return std::vector{square, square * given};
    });
  }

  at::Tensor x;
  std::vector<at::Tensor> made;
  int calls = 0;
};

TEST(Remade, IsMadeAgainForTheBackwardPassAndNotKept) {
  const at::Tensor x = learned(), y = learned();
  Squares squares(x);
  const at::Tensor loss = Product::apply(squares.made[0], y).sum();
  const c10::weak_intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl> kept(
      squares.made[0].getIntrusivePtr());
  squares.made.clear();
  EXPECT_TRUE(kept.expired()) << "nobody holds it between the passes";
  EXPECT_EQ(squares.calls, 0);
  loss.backward();
  EXPECT_EQ(squares.calls, 1);
  EXPECT_TRUE(at::equal(y.grad(), x.detach().square()));
  EXPECT_TRUE(at::equal(x.grad(), 2 * x.detach() * y.detach()));
}

TEST(Remade, IsMadeOnceForAllWhoKeepIt) {
  const at::Tensor x = learned(), y = learned(), z = learned();
  Squares squares(x);
  const at::Tensor loss = (Product::apply(squares.made[0], y) + Product::apply(squares.made[1], z) +
                           Product::apply(squares.made[0], z))
                              .sum();
  loss.backward();
  EXPECT_EQ(squares.calls, 1);
  EXPECT_TRUE(at::equal(y.grad(), squares.made[0].detach()));
  EXPECT_TRUE(at::equal(z.grad(), (squares.made[1] + squares.made[0]).detach()));
}

TEST(Remade, IsMadeForEachOfTwoBackwardPasses) {
  const at::Tensor x = learned(), y = learned();
  Squares squares(x);
  const at::Tensor loss = Product::apply(squares.made[0], y).sum();
  loss.backward({}, /*retain_graph=*/true);
  loss.backward();
  EXPECT_EQ(squares.calls, 2);
  EXPECT_TRUE(at::equal(y.grad(), 2 * x.detach().square()));
}

TEST(Remade, GoesWithAView) {
  const at::Tensor x = learned(), y = at::rand({12}, at::kDouble).set_requires_grad(true);
  Squares squares(x);
  const at::Tensor view = remade_view(squares.made[1], {12});
  Product::apply(view, y).sum().backward();
  EXPECT_EQ(squares.calls, 1);
  EXPECT_TRUE(at::equal(y.grad(), view.detach()));
  const at::Tensor plain = remade_view(x, {12});
  Product::apply(plain, y).sum().backward();
  EXPECT_EQ(squares.calls, 1) << "what nobody can make again is kept";
}

TEST(Remade, IsAskedForWhileAScopeLasts) {
  EXPECT_FALSE(remakes());
  {
    const Remaking on(true);
    EXPECT_TRUE(remakes());
    const Remaking off(false);
    EXPECT_FALSE(remakes());
  }
  EXPECT_FALSE(remakes());
}

}  // namespace
}  // namespace mdnlab
