#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "ops/convolution.h"

namespace mdnlab::ops {

namespace {

// Sizes, and how far back each token may look: past its document's start there is nothing.
struct Reach {
  std::int64_t batch, tokens, channels, past;
  const std::int64_t* position;  // (B,T), or null: a row is one document

  Reach(const at::Tensor& x_BTC, const at::Tensor& weight_WC, const at::Tensor& position_BT)
      : batch(x_BTC.size(0)),
        tokens(x_BTC.size(1)),
        channels(x_BTC.size(2)),
        past(weight_WC.size(0) - 1),
        position(position_BT.defined() ? position_BT.const_data_ptr<std::int64_t>() : nullptr) {}

  std::int64_t operator()(std::int64_t row, std::int64_t t) const {
    return std::min(past, position ? position[row * tokens + t] : t);
  }
};

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

}  // namespace

at::Tensor convolve_by_loops(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& position) {
  at::Tensor sum = at::empty_like(x);
  if (x.is_meta()) return sum;
  const Reach reach(x, weight, position);
  if (x.scalar_type() == at::kDouble) {
    convolve(reach, x.const_data_ptr<double>(), weight.const_data_ptr<double>(), sum.data_ptr<double>());
  } else {
    convolve(reach, x.const_data_ptr<float>(), weight.const_data_ptr<float>(), sum.data_ptr<float>());
  }
  return sum;
}

ConvolutionGradients convolve_backward_by_loops(const at::Tensor& x, const at::Tensor& weight,
                                                const at::Tensor& position, const at::Tensor& dsum) {
  ConvolutionGradients out{at::zeros_like(x), at::zeros_like(weight)};
  if (x.is_meta()) return out;
  const Reach reach(x, weight, position);
  if (x.scalar_type() == at::kDouble) {
    convolve_backward(reach, x.const_data_ptr<double>(), weight.const_data_ptr<double>(),
                      dsum.const_data_ptr<double>(), out.dx_BTC.data_ptr<double>(),
                      out.dweight_WC.data_ptr<double>());
  } else {
    convolve_backward(reach, x.const_data_ptr<float>(), weight.const_data_ptr<float>(),
                      dsum.const_data_ptr<float>(), out.dx_BTC.data_ptr<float>(),
                      out.dweight_WC.data_ptr<float>());
  }
  return out;
}

}  // namespace mdnlab::ops
