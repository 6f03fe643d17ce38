// C channels, W taps; a tap `back` tokens before the present has weight[:,0,W−1−back].
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "ops/layer.h"

namespace mdnlab::ops {

namespace {

// Sizes, and how far back each token may look: past its document's start there is nothing.
struct Reach {
  std::int64_t batch, tokens, channels, past;
  const std::int64_t* position;  // (B,T), or null: a row is one document

  Reach(const at::Tensor& x_BTC, std::int64_t taps, const at::Tensor& position_BT)
      : batch(x_BTC.size(0)),
        tokens(x_BTC.size(1)),
        channels(x_BTC.size(2)),
        past(taps - 1),
        position(position_BT.defined() ? position_BT.const_data_ptr<std::int64_t>() : nullptr) {}

  std::int64_t operator()(std::int64_t row, std::int64_t t) const {
    return std::min(past, position ? position[row * tokens + t] : t);
  }
};

// sum_{t,c} = Σ_back weight_{back,c} · x_{t−back,c}
template <class T>
void convolve(const Reach& reach, const T* x, const T* weight, T* sum) {
  const std::int64_t channels = reach.channels;
  for (std::int64_t row = 0; row < reach.batch; ++row) {
    for (std::int64_t t = 0; t < reach.tokens; ++t) {
      const std::int64_t at = (row * reach.tokens + t) * channels;
      T* __restrict out = sum + at;
      for (std::int64_t c = 0; c < channels; ++c) out[c] = weight[c] * x[at + c];
      for (std::int64_t back = 1; back <= reach(row, t); ++back) {
        const T* __restrict w = weight + back * channels;
        const T* __restrict in = x + at - back * channels;
        for (std::int64_t c = 0; c < channels; ++c) out[c] += w[c] * in[c];
      }
    }
  }
}

// dx_{t−back,c} += weight_{back,c} · dsum_{t,c},   dweight_{back,c} += x_{t−back,c} · dsum_{t,c}
template <class T>
void convolve_backward(const Reach& reach, const T* x, const T* weight, const T* dsum, T* dx, T* dweight) {
  const std::int64_t channels = reach.channels;
  for (std::int64_t row = 0; row < reach.batch; ++row) {
    for (std::int64_t t = 0; t < reach.tokens; ++t) {
      const std::int64_t at = (row * reach.tokens + t) * channels;
      const T* __restrict grad = dsum + at;
      for (std::int64_t back = 0; back <= reach(row, t); ++back) {
        const T* __restrict w = weight + back * channels;
        const T* __restrict in = x + at - back * channels;
        T* __restrict din = dx + at - back * channels;
        T* __restrict dw = dweight + back * channels;
        for (std::int64_t c = 0; c < channels; ++c) {
          din[c] += w[c] * grad[c];
          dw[c] += in[c] * grad[c];
        }
      }
    }
  }
}

class Convolution : public torch::autograd::Function<Convolution> {
 public:
  // x (B,T,C) and weight (W,C), the present first; both contiguous, of one dtype (float32 or float64).
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, const Documents& documents) {
    context->save_for_backward({x, weight, documents.position_BT});
    at::Tensor sum = at::empty_like(x);
    const Reach reach(x, weight.size(0), documents.position_BT);
    if (x.scalar_type() == at::kDouble) {
      convolve(reach, x.const_data_ptr<double>(), weight.const_data_ptr<double>(), sum.data_ptr<double>());
    } else {
      convolve(reach, x.const_data_ptr<float>(), weight.const_data_ptr<float>(), sum.data_ptr<float>());
    }
    return sum;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const at::Tensor dsum = gradients[0].contiguous();
    at::Tensor dx = at::zeros_like(x), dweight = at::zeros_like(weight);
    const Reach reach(x, weight.size(0), saved[2]);
    if (x.scalar_type() == at::kDouble) {
      convolve_backward(reach, x.const_data_ptr<double>(), weight.const_data_ptr<double>(),
                        dsum.const_data_ptr<double>(), dx.data_ptr<double>(), dweight.data_ptr<double>());
    } else {
      convolve_backward(reach, x.const_data_ptr<float>(), weight.const_data_ptr<float>(),
                        dsum.const_data_ptr<float>(), dx.data_ptr<float>(), dweight.data_ptr<float>());
    }
    return {dx, dweight, at::Tensor()};
  }
};

}  // namespace

at::Tensor short_convolution(const at::Tensor& x_BTC, const at::Tensor& weight, const at::Tensor& bias,
                             const Documents& documents, at::Tensor* carried) {
  const std::int64_t tokens = x_BTC.size(1), past = weight.size(2) - 1;
  const at::ScalarType dtype = x_BTC.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor x = x_BTC;
  const bool resumes = carried && carried->defined();
  if (resumes) x = at::cat({*carried, x}, 1);
  const at::Tensor weight_WC = weight.to(dtype).squeeze(1).flip(1).t().contiguous();
  at::Tensor sum = Convolution::apply(x.to(dtype).contiguous(), weight_WC, documents);
  if (carried) {
    const std::int64_t missing =
        std::max<std::int64_t>(0, past - x.size(1));  // before the first token: zeros
    at::Tensor last = x.narrow(1, x.size(1) - (past - missing), past - missing);
    if (missing > 0) last = at::cat({at::zeros({x.size(0), missing, x.size(2)}, x.options()), last}, 1);
    *carried = last.contiguous();
  }
  if (resumes) sum = sum.narrow(1, past, tokens);
  if (bias.defined()) sum = sum + bias;
  return at::silu(sum).to(x_BTC.scalar_type());
}

}  // namespace mdnlab::ops
