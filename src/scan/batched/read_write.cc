#include "scan/batched/read_write.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

namespace mdnlab::scan::batched {

at::Tensor over_channels(const at::Tensor& by_channel, const at::Tensor& gate) {
  return gate.size(-1) == 1 ? by_channel.sum(-1, true) : by_channel;
}

at::Tensor reader(const at::Tensor& x, const at::Tensor& log_a, const at::Tensor& b) {
  const at::Tensor of_S = x * log_a.exp();
  return b.defined() ? at::cat({of_S, x * b.neg()}, -1) : of_S;
}

at::Tensor writer(const at::Tensor& written_key, const at::Tensor& G, const at::Tensor& log_R) {
  const at::Tensor to_S = written_key * G;
  return log_R.defined() ? at::cat({to_S, written_key * log_R.exp().neg_()}, -1) : to_S;
}

ReaderAdjoint adjoint_of_reader(const at::Tensor& d, const at::Tensor& x, const at::Tensor& log_a,
                                const at::Tensor& b) {
  const std::int64_t K = x.size(-1);
  const at::Tensor d_S = d.narrow(-1, 0, K), a = log_a.exp();
  ReaderAdjoint out{.x = d_S * a, .log_a = over_channels(d_S * x, log_a) * a};
  if (b.defined()) {
    const at::Tensor d_M = d.narrow(-1, K, K);
    out.x -= d_M * b;
    out.b = over_channels(d_M * x, b).neg_();
  }
  return out;
}

WriterAdjoint adjoint_of_writer(const at::Tensor& d, const at::Tensor& written_key, const at::Tensor& G,
                                const at::Tensor& log_R) {
  const std::int64_t K = written_key.size(-1);
  const at::Tensor d_S = d.narrow(-1, 0, K);
  WriterAdjoint out{.written_key = d_S * G, .G = over_channels(d_S * written_key, G)};
  if (log_R.defined()) {
    const at::Tensor d_M = d.narrow(-1, K, K), R = log_R.exp();
    out.written_key -= d_M * R;
    out.log_R = over_channels(d_M * written_key, G).neg_() * R;
  }
  return out;
}

}  // namespace mdnlab::scan::batched
