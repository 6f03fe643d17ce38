#include "scan/remade.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <gtest/gtest.h>

#include <optional>

#include "scan/with_backward.h"

namespace mdnlab {
namespace {

// x·y, with both kept as our functions keep what they are given.
at::Tensor product(const at::Tensor& x, const at::Tensor& y) {
  return with_backward(
      {x, y},
      [&](Tensors& kept) {
        kept = {x, at::Tensor(), y};
        return Tensors{x * y};
      },
      [](const BackwardPass& pass) {
        EXPECT_FALSE(pass.kept[1].defined());
        return Tensors{pass.adjoints[0] * pass.kept[2], pass.adjoints[0] * pass.kept[0]};
      })[0];
}

at::Tensor learned() { return at::rand({3, 4}, at::kDouble).set_requires_grad(true); }

struct Squares {
  explicit Squares(const at::Tensor& x) : made({x.square(), x.square() * x}) {
    remake(made, {x, at::Tensor()}, [this](const Tensors& from) {
      ++calls;
      EXPECT_FALSE(from[1].defined());
      EXPECT_FALSE(at::GradMode::is_enabled());
      const at::Tensor square = from[0].square();
      return Tensors{square, square * from[0]};
    });
  }

  Tensors made;
  int calls = 0;
};

using Weak = c10::weak_intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>;
Weak weak(const at::Tensor& x) { return Weak(x.getIntrusivePtr()); }

TEST(Remade, IsMadeAgainForTheBackwardPassAndNotKept) {
  const at::Tensor x = learned(), y = learned();
  Squares squares(x);
  const at::Tensor loss = product(squares.made[0], y).sum();
  const Weak kept = weak(squares.made[0]);
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
  const at::Tensor loss =
      (product(squares.made[0], y) + product(squares.made[1], z) + product(squares.made[0], z)).sum();
  loss.backward();
  EXPECT_EQ(squares.calls, 1);
  EXPECT_TRUE(at::equal(y.grad(), squares.made[0].detach()));
  EXPECT_TRUE(at::equal(z.grad(), (squares.made[1] + squares.made[0]).detach()));
}

TEST(Remade, IsMadeOnceInEachOfTwoBackwardPasses) {
  const at::Tensor x = learned(), y = learned();
  Squares squares(x);
  const at::Tensor loss = (product(squares.made[0], y) + product(squares.made[0], y)).sum();
  loss.backward({}, /*retain_graph=*/true);
  EXPECT_EQ(squares.calls, 1);
  loss.backward();
  EXPECT_EQ(squares.calls, 2);
  EXPECT_TRUE(at::equal(y.grad(), 4 * x.detach().square()));
}

TEST(Remade, IsMadeOfWhatIsMadeAgain) {
  const at::Tensor x = learned(), y = learned();
  Squares squares(x);
  Squares of_squares(squares.made[0]);
  const at::Tensor loss = product(of_squares.made[1], y).sum(), sixth = of_squares.made[1].detach();
  loss.backward();
  EXPECT_EQ(squares.calls, 1);
  EXPECT_EQ(of_squares.calls, 1);
  EXPECT_TRUE(at::equal(y.grad(), sixth));
}

TEST(Remade, WhatItIsMadeOfIsLetGoOnTheWayBack) {
  const at::Tensor x = learned(), y = learned();
  std::optional<c10::weak_intrusive_ptr<c10::StorageImpl>> memory;
  bool was_let_go = false;
  const at::Tensor first = x * 1;
  first.register_hook([&](const at::Tensor&) { was_let_go = memory->expired(); });
  const at::Tensor loss = [&] {
    const at::Tensor made = first + 1, given = first.detach().clone();
    memory = given.storage().getWeakStorageImpl();
    remake({made}, {given}, [](const Tensors& from) { return Tensors{from[0] + 1}; });
    return product(made, y).sum();
  }();
  EXPECT_FALSE(memory->expired());
  loss.backward();
  EXPECT_TRUE(was_let_go) << "before the backward pass has ended";
  EXPECT_TRUE(at::equal(y.grad(), x.detach() + 1));
}

TEST(Remade, GoesWithItsViews) {
  const at::Tensor x = learned(), y = at::rand({12}, at::kDouble).set_requires_grad(true);
  Squares squares(x);
  const at::Tensor row = remade_reshape(squares.made[1], {12});
  const Tensors halves = remade_views(row, [](const at::Tensor& of) { return of.split(6); });
  (product(row, y).sum() + product(halves[1], y.narrow(0, 6, 6)).sum()).backward();
  EXPECT_EQ(squares.calls, 1);
  EXPECT_TRUE(at::equal(y.grad().narrow(0, 0, 6), halves[0].detach()));
  EXPECT_TRUE(at::equal(y.grad().narrow(0, 6, 6), 2 * halves[1].detach()));
  const at::Tensor plain = remade_reshape(x, {12});
  product(plain, y).sum().backward();
  EXPECT_EQ(squares.calls, 1) << "what nobody can make again is kept";
}

TEST(Remade, IsAskedForWhileAScopeLasts) {
  EXPECT_FALSE(remakes().results || remakes().prepared);
  {
    const Remaking results({.results = true});
    EXPECT_TRUE(remakes().results);
    EXPECT_FALSE(remakes().prepared);
    {
      const Remaking prepared({.prepared = true});
      EXPECT_FALSE(remakes().results);
      EXPECT_TRUE(remakes().prepared);
    }
    EXPECT_TRUE(remakes().results);
    const at::NoGradGuard no_grad;
    EXPECT_FALSE(remakes().results) << "autograd does not record";
  }
  EXPECT_FALSE(remakes().results);
}

}  // namespace
}  // namespace mdnlab
