// The GPU's threads that have a row of a norm, or four numbers of SwiGLU, on the CPU, against the operations
// of LibTorch in float64.
#include "ops/cuda/norm_run.cuh"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

#include <optional>

#include "ops/cuda/swiglu_run.cuh"
#include "ops/layer.h"
#include "run_on_cpu.h"

namespace mdnlab::ops {
namespace {

constexpr double kEps = 1e-5;

struct Case {
  std::int64_t rows;
  int width;
  bool adds = false;
  std::optional<NormGate> gate = std::nullopt;
  int scales = 0;  // of what is added
};

at::Tensor exact(const at::Tensor& x) { return x.to(at::kDouble).requires_grad_(true); }

template <int Q, cuda::Gating kGating = cuda::Gating::none>
void compare(const Case& choice) {
  SCOPED_TRACE(testing::Message() << choice.rows << " rows of " << choice.width << ", adds " << choice.adds
                                  << ", gate " << (choice.gate ? static_cast<int>(*choice.gate) : -1));
  const auto random = [&] { return at::randn({choice.rows, choice.width}); };
  const auto empty = [&] { return unwritten({choice.rows, choice.width}); };
  const at::Tensor x = random(), add = random(),
                   z = at::randn({choice.rows, choice.width + 8}).narrow(1, 4, choice.width),
                   weight = at::randn({choice.width}), dy = random(), dsum = random(),
                   scale = at::randn({choice.scales});
  const at::Tensor y = empty(), sum = empty(), dx = empty(), dadd = empty(),
                   dz = unwritten({choice.rows, choice.width + 4}).narrow(1, 4, choice.width);
  cuda::Norm in{.rows = choice.rows,
                .add_stride = choice.width,
                .z_stride = z.stride(0),
                .runs = 3,
                .N = choice.width,
                .eps = static_cast<float>(kEps),
                .gating = kGating};
  const at::Tensor shares = unwritten({in.runs, choice.width});
  in.x = x.const_data_ptr();
  if (choice.adds) in.add = add.const_data_ptr();
  if (choice.scales) {
    in.scale_H = scale.const_data_ptr<float>();
    in.width = choice.width / choice.scales;
  }
  if (choice.gate) in.z = z.const_data_ptr();
  in.weight_N = weight.const_data_ptr<float>();
  if (choice.adds && !choice.scales) in.sum = sum.mutable_data_ptr();
  in.y = y.mutable_data_ptr();
  cuda::Norm back = in;
  if (choice.adds) back.dadd = dadd.mutable_data_ptr();
  if (in.sum) {
    back.x = sum.const_data_ptr();
    back.dsum = dsum.const_data_ptr();
  }
  back.dy = dy.const_data_ptr();
  back.dx = dx.mutable_data_ptr();
  back.dz = dz.mutable_data_ptr();
  back.dz_stride = dz.stride(0);
  back.dweight_SN = shares.mutable_data_ptr<float>();
  const at::Tensor scale_shares = unwritten({in.runs, choice.width / cuda::kChannels});
  back.dscale_SQ = scale_shares.mutable_data_ptr<float>();
  constexpr int kLanes = 4;
  cuda::Team(kLanes).run([&](std::int64_t lane) {
    for (std::int64_t run = 0; run < in.runs; ++run) {
      cuda::NormRun<kGating, Q, float, float, cuda::Cpu>(in, run, static_cast<int>(lane), kLanes).forward();
      cuda::NormRun<kGating, Q, float, float, cuda::Cpu>(back, run, static_cast<int>(lane), kLanes)
          .backward();
    }
  });

  const at::Tensor exact_x = exact(x), exact_add = exact(add), exact_z = exact(z),
                   exact_weight = exact(weight), exact_scale = exact(scale);
  std::vector<at::Tensor> leaves{exact_x, exact_weight}, outputs, adjoints{dy.to(at::kDouble)};
  if (choice.gate) {
    leaves.push_back(exact_z);
    if (choice.scales) leaves.insert(leaves.end(), {exact_add, exact_scale});
    outputs = {gated_rms_norm(exact_x, exact_z, *choice.gate, exact_weight, kEps,
                              choice.scales ? Skip{exact_add, exact_scale} : Skip{})};
  } else if (choice.adds) {
    leaves.push_back(exact_add);
    const auto [exact_sum, normed] = add_rms_norm(exact_x, exact_add, exact_weight, kEps, at::kDouble);
    expect_close("sum", sum, exact_sum);
    outputs = {normed, exact_sum};
    adjoints.push_back(dsum.to(at::kDouble));
  } else {
    outputs = {rms_norm(exact_x, exact_weight, kEps)};
  }
  expect_close("y", y, outputs[0]);
  const auto gradients = torch::autograd::grad(outputs, leaves, adjoints);
  expect_close("dx", dx, gradients[0]);
  expect_close("dweight", shares.sum(0), gradients[1]);
  if (choice.gate) expect_close("dz", dz, gradients[2]);
  if (choice.adds) expect_close("dadd", dadd, gradients[choice.gate ? 3 : 2]);
  if (choice.scales)
    expect_close("dscale", scale_shares.sum(0).view({choice.scales, -1}).sum(1), gradients[4]);
}

TEST(NormRun, IsTheNormAndItsGradients) {
  for (const int width : {4, 12, 16}) compare<1>({.rows = 7, .width = width});
  compare<2>({.rows = 5, .width = 28});
  compare<4>({.rows = 1, .width = 60, .adds = true});
  compare<2>({.rows = 8, .width = 20, .adds = true});
}

// So may a backward pass make it again.
TEST(NormRun, OfTheSumItWroteIsTheSameBits) {
  const at::Tensor x = at::randn({9, 20}) * 1e3, add = at::randn({9, 20}), weight = at::randn({20});
  const at::Tensor y = unwritten({9, 20}), again = unwritten({9, 20}), sum = unwritten({9, 20});
  cuda::Norm in{.rows = 9, .add_stride = 20, .runs = 2, .N = 20, .eps = static_cast<float>(kEps)};
  in.weight_N = weight.const_data_ptr<float>();
  cuda::Norm of_sum = in;
  in.x = x.const_data_ptr();
  in.add = add.const_data_ptr();
  in.sum = sum.mutable_data_ptr();
  in.y = y.mutable_data_ptr();
  of_sum.x = sum.const_data_ptr();
  of_sum.y = again.mutable_data_ptr();
  constexpr int kLanes = 4;
  cuda::Team(kLanes).run([&](std::int64_t lane) {
    for (const cuda::Norm* norm : {&in, &of_sum}) {
      for (std::int64_t run = 0; run < in.runs; ++run)
        cuda::NormRun<cuda::Gating::none, 2, float, float, cuda::Cpu>(*norm, run, static_cast<int>(lane),
                                                                      kLanes)
            .forward();
    }
  });
  EXPECT_TRUE(at::equal(again, y));
}

template <cuda::Gating kGating>
void compare_gated(NormGate gate) {
  compare<1, kGating>({.rows = 7, .width = 12, .gate = gate});
  compare<4, kGating>({.rows = 2, .width = 52, .gate = gate});
}

TEST(NormRun, IsTheGatedNormAndItsGradients) {
  compare_gated<cuda::Gating::silu>(NormGate::silu);
  compare_gated<cuda::Gating::sigmoid>(NormGate::sigmoid);
  compare_gated<cuda::Gating::silu_first>(NormGate::silu_first);
}

TEST(NormRun, AddsWhatSkippedTheScanByHead) {
  for (const int heads : {1, 3, 12})
    compare<4, cuda::Gating::silu_first>(
        {.rows = 5, .width = 48, .adds = true, .gate = NormGate::silu_first, .scales = heads});
}

TEST(SwigluRun, IsSwigluAndItsGradients) {
  const at::Tensor gate = at::randn({12}) * 3, up = at::randn({12}), dy = at::randn({12});
  const at::Tensor y = unwritten({12}), dgate = unwritten({12}), dup = unwritten({12});
  const cuda::Swiglu in{.count = 12,
                        .gate = gate.const_data_ptr(),
                        .up = up.const_data_ptr(),
                        .y = y.mutable_data_ptr(),
                        .dy = dy.const_data_ptr(),
                        .dgate = dgate.mutable_data_ptr(),
                        .dup = dup.mutable_data_ptr()};
  for (std::int64_t at = 0; at < in.count; at += cuda::kChannels) {
    cuda::swiglu_quad<float, cuda::Cpu>(in, at);
    cuda::swiglu_quad_backward<float, cuda::Cpu>(in, at);
  }
  const std::vector<at::Tensor> leaves{exact(gate), exact(up)};
  const at::Tensor exact_y = swiglu(leaves[0], leaves[1]);
  expect_close("y", y, exact_y);
  const auto gradients = torch::autograd::grad({exact_y}, leaves, {dy.to(at::kDouble)});
  expect_close("dgate", dgate, gradients[0]);
  expect_close("dup", dup, gradients[1]);
}

}  // namespace
}  // namespace mdnlab::ops
