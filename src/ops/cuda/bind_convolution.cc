#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <limits>
#include <vector>

#include "ops/cuda/bind.h"
#include "ops/parts.h"
#include "scan/cuda/device.h"

namespace mdnlab::ops::cuda {

namespace {

// A problem, and what keeps its memory.
class Convolution {
 public:
  Convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
              const at::Tensor& position)
      : given_(x),
        x_(x),
        taps_(weight.size(0)),
        weight_(aligned(taps_ == kTaps ? weight : at::constant_pad_nd(weight, {0, 0, 0, kTaps - taps_}))) {
    problem.T = x.size(1);
    problem.C = x.size(2);
    problem.runs = x.size(0) * problem.runs_of_row();
    problem.x_BTC = x_.tensor.const_data_ptr();
    problem.x_stride = x_.stride;
    problem.weight_WC = weight_.const_data_ptr<float>();
    if (bias.defined()) problem.bias_C = (bias_ = aligned(bias)).const_data_ptr<float>();
    if (position.defined())
      problem.position_BT = (position_ = aligned(position)).const_data_ptr<std::int64_t>();
  }

  at::Tensor forward() {
    const at::Tensor y = at::empty(x_.tensor.sizes(), x_.tensor.options());
    problem.y_BTC = y.mutable_data_ptr();
    return y;
  }

  // dx, and what each run adds to the gradient of the weights and, behind them, of something a channel.
  void backward(const std::vector<FusedConvolution::Adjoint>& dy) {
    for (const auto& [first, dy_BTC] : dy) {
      const Rows& part = dy_.emplace_back(dy_BTC);
      problem.dy[dy_.size() - 1] = {part.tensor.const_data_ptr(), part.stride, first, first + dy_BTC.size(2)};
    }
    const Rows room(room_for_gradient(given_));
    dx = room.tensor;
    shares_ = at::empty({(kTaps + 1) * problem.runs, problem.C}, weight_.options());
    problem.dx_BTC = dx.mutable_data_ptr();
    problem.dx_stride = room.stride;
    problem.dweight_RWC = shares_.mutable_data_ptr<float>();
  }
  float* more_shares() { return problem.dweight_RWC + kTaps * problem.runs * problem.C; }

  at::Tensor dweight_WC() const {
    return shares_.narrow(0, 0, kTaps * problem.runs)
        .view({problem.runs, kTaps, problem.C})
        .narrow(1, 0, taps_)
        .sum(0);
  }
  at::Tensor sum_of_more() const { return shares_.narrow(0, kTaps * problem.runs, problem.runs).sum(0); }

  ShortConvolution problem{};
  at::Tensor dx;

 private:
  at::Tensor given_;
  Rows x_;
  std::int64_t taps_;
  at::Tensor weight_, bias_, position_, shares_;
  std::vector<Rows> dy_;
};

bool takes_convolution(const at::Tensor& x, const at::Tensor& weight) {
  return is_for_us(x) && weight.size(0) <= kTaps && x.size(2) % kChannels == 0 &&
         x.numel() < std::numeric_limits<int>::max() * std::int64_t{kTokens};
}

at::Tensor convolve_forward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& position) {
  const c10::cuda::CUDAGuard guard(x.device());
  Convolution call(x, weight, bias, position);
  const at::Tensor y = call.forward();
  scan::check_cuda(convolve(call.problem, element_of(x), c10::cuda::getCurrentCUDAStream()),
                   "the short convolution");
  return y;
}

FusedConvolution::Gradients convolution_gradients(const at::Tensor& x, const at::Tensor& weight,
                                                  const at::Tensor& bias, const at::Tensor& position,
                                                  const std::vector<FusedConvolution::Adjoint>& dy) {
  const c10::cuda::CUDAGuard guard(x.device());
  Convolution call(x, weight, bias, position);
  call.backward(dy);
  if (bias.defined()) call.problem.dbias_RC = call.more_shares();
  scan::check_cuda(convolve_backward(call.problem, element_of(x), c10::cuda::getCurrentCUDAStream()),
                   "the short convolution's gradients");
  return {call.dx, call.dweight_WC(), bias.defined() ? call.sum_of_more() : at::Tensor()};
}

class QueryKeyCall {
 public:
  explicit QueryKeyCall(const FusedQueryKey::Inputs& in)
      : q(in.q_BTC, in.q_weight_WC, {}, in.position_BT),
        k(in.k_BTC, in.k_weight_WC, {}, in.position_BT),
        element(element_of(in.q_BTC)) {
    problem.width = static_cast<int>(q.problem.C / in.heads);
    if (in.correction_G.defined())
      problem.correction_G = (correction_ = aligned(in.correction_G)).const_data_ptr<float>();
  }

  QueryKey whole() {
    problem.q = q.problem;
    problem.k = k.problem;
    return problem;
  }

  Convolution q, k;
  QueryKey problem{};
  Element element;

 private:
  at::Tensor correction_;
};

bool takes_query_key(const FusedQueryKey::Inputs& in) {
  const std::int64_t width = in.q_BTC.size(2) / in.heads;
  return takes_convolution(in.q_BTC, in.q_weight_WC) && (width == 64 || width == 128 || width == 256);
}

FusedQueryKey::Outputs query_key_forward(const FusedQueryKey::Inputs& in) {
  const c10::cuda::CUDAGuard guard(in.q_BTC.device());
  QueryKeyCall call(in);
  const at::Tensor q = call.q.forward(), k = call.k.forward();
  scan::check_cuda(query_key(call.whole(), call.element, c10::cuda::getCurrentCUDAStream()), "q and k");
  return {q, k};
}

FusedQueryKey::Gradients query_key_gradients(const FusedQueryKey::Inputs& in,
                                             const FusedQueryKey::Outputs& adjoints) {
  const c10::cuda::CUDAGuard guard(in.q_BTC.device());
  QueryKeyCall call(in);
  call.q.backward({{0, adjoints.q_BTC}});
  call.k.backward({{0, adjoints.k_BTC}});
  call.problem.dcorrection_RC = call.q.more_shares();
  scan::check_cuda(query_key_backward(call.whole(), call.element, c10::cuda::getCurrentCUDAStream()),
                   "the gradients of q and k");
  at::Tensor dcorrection;
  if (in.correction_G.defined()) dcorrection = call.q.sum_of_more().view({in.heads, -1}).sum(1);
  return {call.q.dx, call.k.dx, call.q.dweight_WC(), call.k.dweight_WC(), dcorrection};
}

}  // namespace

const FusedConvolution fused_convolution{
    .takes = takes_convolution, .forward = convolve_forward, .backward = convolution_gradients};
const FusedQueryKey fused_query_key{
    .takes = takes_query_key, .forward = query_key_forward, .backward = query_key_gradients};

}  // namespace mdnlab::ops::cuda
