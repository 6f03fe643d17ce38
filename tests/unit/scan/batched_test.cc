// The implementation for any device, on a device without numbers: whatever it read back from there, or made
// elsewhere, would be an error.
#include "scan/batched/batched.h"

#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <torch/library.h>

#include "cases.h"

namespace mdnlab::scan {

namespace {

// What LibTorch leaves to Python on such a device.
at::Tensor index_select(const at::Tensor& self, std::int64_t dimension, const at::Tensor& index) {
  std::vector<std::int64_t> shape = self.sizes().vec();
  shape[static_cast<std::size_t>(dimension)] = index.numel();
  EXPECT_TRUE(index.is_meta());
  return self.new_empty(shape);
}
TORCH_LIBRARY_IMPL(aten, Meta, library) { library.impl("index_select", index_select); }

void move_to_meta(Inputs& inputs) {
  for (at::Tensor* tensor : tensors(inputs)) {
    if (tensor->defined()) *tensor = tensor->detach().to(at::kMeta);
  }
}

TEST(BatchedScan, StaysOnItsDevice) {
  const c10::AutoGradMode no_grad(false);
  std::array<bool, kTensors> all;
  all.fill(true);
  for (const Rule& rule : kRules) {
    SCOPED_TRACE(name(rule));
    Inputs in = make_inputs(
        {.shape = {.B = 2, .T = 70, .H = 4, .G = 2}, .rule = rule, .dtype = at::kBFloat16, .documents = 3});
    in.cu_seqlens = at::tensor(std::vector<int>{0, 9, 70, 140}, at::TensorOptions().dtype(at::kInt));
    move_to_meta(in);
    Saved saved;
    const Outputs out = forward_batched(in, {.want_state = true}, &saved);
    EXPECT_EQ(out.o_BTHV.sizes(), in.v_BTHV.sizes());
    EXPECT_EQ(out.o_BTHV.scalar_type(), at::kBFloat16);
    EXPECT_EQ(out.final_S_NHKV.sizes(), in.initial_S_NHKV.sizes());
    const Inputs gradients = backward_batched(in, {}, saved, out, all);
    for (std::size_t i = 0; i < kTensors; ++i) {
      const at::Tensor &given = *tensors(in)[i], &found = *tensors(gradients)[i];
      ASSERT_EQ(found.defined(), given.defined()) << i;
      if (!given.defined()) continue;
      EXPECT_TRUE(found.is_meta()) << i;
      EXPECT_EQ(found.sizes(), given.sizes()) << i;
      EXPECT_EQ(found.scalar_type(), given.scalar_type()) << i;
    }
    Inputs token = make_inputs({.shape = {.B = 2, .T = 1, .H = 4, .G = 2}, .rule = rule});
    move_to_meta(token);
    EXPECT_EQ(step_batched(token).o_BTHV.sizes(), token.v_BTHV.sizes());
  }
}

}  // namespace

}  // namespace mdnlab::scan
