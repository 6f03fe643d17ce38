// No rule cares where its tensors are. LibTorch's `meta` device has shapes and no memory: a tensor made on the
// CPU by default, a pointer that is followed or a value that is read fails there, as it would on a GPU.
#include <ATen/ExpandUtils.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/library.h>

#include "layer.h"
#include "scan/batched/batched.h"
#include "scan/implementation.h"

namespace mdnlab {
namespace {

// The shapes of operations that LibTorch describes in its Python half alone.
at::Tensor flipped(const at::Tensor& x, at::IntArrayRef) { return at::empty_like(x); }
at::Tensor selected(const at::Tensor& x, std::int64_t dimension, const at::Tensor& index) {
  TORCH_CHECK(index.is_meta());
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape[static_cast<std::size_t>(at::maybe_wrap_dim(dimension, x.dim()))] = index.numel();
  return x.new_empty(shape);
}
at::Tensor chosen(const at::Tensor& condition, const at::Tensor& x, const at::Tensor& other) {
  TORCH_CHECK(condition.is_meta() && (x.is_meta() || x.dim() == 0) && (other.is_meta() || other.dim() == 0));
  const at::Tensor& whole = x.is_meta() ? x : other;
  return whole.new_empty(at::infer_size(condition.sizes(), at::infer_size(x.sizes(), other.sizes())));
}
at::Tensor& choose_into(const at::Tensor&, const at::Tensor&, const at::Tensor&, at::Tensor& out) { return out; }
TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("flip", flipped);
  library.impl("index_select", selected);
  library.impl("where.self", chosen);
  library.impl("where.self_out", choose_into);
}

class AnyDevice : public testing::TestWithParam<LayerCase> {
 protected:
  static void SetUpTestSuite() {
    scan::add_implementation(at::kMeta, {.name = "batched",
                                         .refusal = [](const scan::Inputs&) { return std::string(); },
                                         .forward = scan::forward_batched,
                                         .backward = scan::backward_batched,
                                         .step = scan::step_batched});
  }

  explicit AnyDevice() : layer_(GetParam(), at::kFloat) {
    for (const auto& [name, tensor] : layer_.weights().all())
      weights_.add(name, tensor.detach().to(at::kMeta).set_requires_grad(true));
  }

  at::Tensor input(std::int64_t tokens) const {
    return random_input(2, tokens, at::kBFloat16).to(at::kMeta).set_requires_grad(true);
  }
  at::Tensor run(const at::Tensor& x, const ops::Documents& documents, LayerState* state) const {
    const at::Tensor y = layer_.rule().forward(x, weights_, documents, state);
    EXPECT_TRUE(y.is_meta());
    EXPECT_EQ(y.sizes(), x.sizes());
    EXPECT_EQ(y.scalar_type(), x.scalar_type());
    return y;
  }
  // Of x and of every learned value.
  void differentiate(const at::Tensor& y, const at::Tensor& x) const {
    std::vector<at::Tensor> leaves{x};
    for (const auto& [name, tensor] : weights_.all()) leaves.push_back(tensor);
    for (const at::Tensor& gradient : torch::autograd::grad({y}, leaves, {at::ones_like(y)}))
      EXPECT_TRUE(gradient.is_meta());
  }

  const Layer layer_;
  Weights weights_;
};

INSTANTIATE_TEST_SUITE_P(Rules, AnyDevice, testing::ValuesIn(layer_cases()),
                         [](const auto& info) { return info.param.name(); });

TEST_P(AnyDevice, WholeSequencesAndTheirGradients) {
  const at::Tensor x = input(83);
  differentiate(run(x, {}, nullptr), x);
}

TEST_P(AnyDevice, PackedDocumentsAndTheirGradients) {
  const at::Tensor x = input(47);
  differentiate(run(x, ops::documents(2, 47, {3, 4, 33, 47 + 32}).to(at::kMeta), nullptr), x);
}

TEST_P(AnyDevice, DecodingWithAState) {
  const at::NoGradGuard no_grad;
  LayerState state;
  for (const std::int64_t tokens : {2, 1, 40}) run(input(tokens), {}, &state);
  for (const at::Tensor& tensor : state.tensors) EXPECT_TRUE(tensor.is_meta());
}

}  // namespace
}  // namespace mdnlab
