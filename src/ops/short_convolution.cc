#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "ops/convolution.h"
#include "ops/cuda/problem.h"
#include "ops/fused.h"
#include "ops/layer.h"
#include "scan/rehearsal.h"
#include "scan/with_backward.h"

namespace mdnlab::ops {

namespace {

at::Tensor convolve(const at::Tensor& x_BTC, const at::Tensor& weight_WC, const Documents& documents) {
  return with_backward(
      {x_BTC, weight_WC},
      [&](Tensors& kept) {
        kept = {x_BTC, weight_WC, documents.position_BT};
        const auto forward = is_as_on(at::kCPU, x_BTC) ? convolve_by_loops : convolve_by_tensors;
        return Tensors{forward(x_BTC, weight_WC, documents.position_BT)};
      },
      [](const BackwardPass& pass) {
        const Tensors& kept = pass.kept;
        const auto backward =
            is_as_on(at::kCPU, kept[0]) ? convolve_backward_by_loops : convolve_backward_by_tensors;
        const auto [dx, dweight] = backward(kept[0], kept[1], kept[2], pass.adjoints[0].contiguous());
        return Tensors{dx, dweight};
      })[0];
}

at::Tensor view_of(const at::Tensor& y_BTC, const ChannelView& view) {
  const std::int64_t channels = c10::multiply_integers(view.sizes);
  return y_BTC.narrow(2, view.first, channels).unflatten(2, view.sizes);
}

Tensors views_of(const at::Tensor& y_BTC, const std::vector<ChannelView>& views) {
  Tensors list;
  for (const ChannelView& view : views) list.push_back(view_of(y_BTC, view));
  return list;
}

// y's views, to autograd tensors of their own: backward is given the gradient of each.
Tensors by_kernel(const FusedConvolution& kernel, const at::Tensor& x_BTC, const at::Tensor& weight_WC,
                  const at::Tensor& bias_C, const Documents& documents,
                  const std::vector<ChannelView>& views) {
  return with_backward(
      {x_BTC, weight_WC, bias_C},
      [&](Tensors& kept) {
        kept = {x_BTC, weight_WC, bias_C, documents.position_BT};
        const at::AutoDispatchBelowADInplaceOrView as_tensors;
        return views_of(kernel.forward(x_BTC, weight_WC, bias_C, documents.position_BT), views);
      },
      [&kernel, views](const BackwardPass& pass) {
        const Tensors& kept = pass.kept;
        std::vector<FusedConvolution::Adjoint> dy;
        for (std::size_t i = 0; i < views.size(); ++i) {
          if (pass.adjoints[i].defined()) dy.push_back({views[i].first, pass.adjoints[i].flatten(2)});
        }
        const auto [dx, dweight, dbias] = kernel.backward(kept[0], kept[1], kept[2], kept[3], dy);
        return Tensors{dx, dweight, dbias};
      },
      NoAdjoint::undefined);
}

// Whether the gradients of views are what backward takes (FusedConvolution::Adjoint).
bool are_taken(const std::vector<ChannelView>& views) {
  if (views.size() > cuda::kAdjoints) return false;
  for (const ChannelView& view : views) {
    const auto meets = [&](const ChannelView& other) {
      return view.first < other.first + c10::multiply_integers(other.sizes) &&
             other.first < view.first + c10::multiply_integers(view.sizes);
    };
    if (view.first % 4 != 0 || c10::multiply_integers(view.sizes) % 4 != 0 ||
        std::ranges::count_if(views, meets) > 2)
      return false;
  }
  return true;
}

at::Tensor by_parts(const at::Tensor& x_BTC, const at::Tensor& weight_WC, const at::Tensor& bias_C,
                    const Documents& documents) {
  const at::Tensor sum = convolve(x_BTC.to(weight_WC.scalar_type()).contiguous(), weight_WC, documents);
  return at::silu(bias_C.defined() ? sum + bias_C : sum).to(x_BTC.scalar_type());
}

}  // namespace

at::Tensor behind_carried(const at::Tensor& x_BTC, std::int64_t past, at::Tensor* carried) {
  if (!carried) return x_BTC;
  const at::Tensor x = carried->defined() ? at::cat({*carried, x_BTC}, 1) : x_BTC;
  const std::int64_t missing = std::max<std::int64_t>(0, past - x.size(1));
  at::Tensor last = x.narrow(1, x.size(1) - (past - missing), past - missing);
  if (missing > 0) last = at::cat({at::zeros({x.size(0), missing, x.size(2)}, x.options()), last}, 1);
  *carried = last.contiguous();
  return x;
}

at::Tensor last_tokens(const at::Tensor& y_BTC, std::int64_t tokens) {
  return y_BTC.size(1) == tokens ? y_BTC : y_BTC.narrow(1, y_BTC.size(1) - tokens, tokens);
}

at::Tensor by_tap(const at::Tensor& weight, at::ScalarType dtype) {
  return weight.to(dtype).squeeze(1).flip(1).t().contiguous();
}

at::Tensor short_convolution(const at::Tensor& x_BTC, const at::Tensor& weight, const at::Tensor& bias,
                             const Documents& documents, at::Tensor* carried) {
  return short_convolution(x_BTC, weight, bias, documents, carried, {{0, {x_BTC.size(2)}}})[0];
}

Tensors short_convolution(const at::Tensor& x_BTC, const at::Tensor& weight, const at::Tensor& bias,
                          const Documents& documents, at::Tensor* carried,
                          const std::vector<ChannelView>& views) {
  if (!weight.defined()) return views_of(at::silu(x_BTC), views);
  const at::Tensor weight_WC = by_tap(weight, statistics_dtype(x_BTC));
  const std::int64_t tokens = x_BTC.size(1), past = weight_WC.size(0) - 1;
  const at::Tensor x = behind_carried(x_BTC, past, carried);
  const Fused* module = fused(x.device());
  if (!module || !module->convolution.takes(x, weight_WC))
    return views_of(last_tokens(by_parts(x, weight_WC, bias, documents), tokens), views);
  const at::Tensor bias_C = bias.defined() ? bias.to(at::kFloat) : bias;
  const auto run = [&](const std::vector<ChannelView>& apart) {
    return by_kernel(module->convolution, x, weight_WC, bias_C, documents, apart);
  };
  const Tensors made = x.size(1) == tokens && are_taken(views)
                           ? run(views)
                           : views_of(last_tokens(run({{0, {x.size(2)}}})[0], tokens), views);
  if (remakes().results) {
    remake(made, {x, weight_WC, bias_C, documents.position_BT}, [module, tokens, views](const Tensors& from) {
      return views_of(last_tokens(module->convolution.forward(from[0], from[1], from[2], from[3]), tokens),
                      views);
    });
  }
  return made;
}

}  // namespace mdnlab::ops
