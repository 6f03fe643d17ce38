#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>

#include <cmath>

#include "ops/convolution.h"
#include "ops/fused.h"
#include "ops/layer.h"
#include "scan/with_backward.h"

namespace mdnlab::ops {

namespace {

Tensors tensors(const FusedQueryKey::Inputs& in) {
  return {in.q_BTC, in.k_BTC, in.q_weight_WC, in.k_weight_WC, in.correction_G, in.position_BT};
}

FusedQueryKey::Inputs inputs_of(const Tensors& list, std::int64_t heads) {
  return {list[0], list[1], list[2], list[3], list[4], list[5], heads};
}

Tensors by_kernel(const FusedQueryKey& kernel, const FusedQueryKey::Inputs& in) {
  return with_backward(
      {in.q_BTC, in.k_BTC, in.q_weight_WC, in.k_weight_WC, in.correction_G},
      [&](Tensors& kept) {
        kept = tensors(in);
        const auto [q, k] = kernel.forward(in);
        return Tensors{q, k};
      },
      [&kernel, heads = in.heads](const BackwardPass& pass) {
        const FusedQueryKey::Gradients of =
            kernel.backward(inputs_of(pass.kept, heads), {pass.adjoints[0], pass.adjoints[1]});
        return Tensors{of.dq_BTC, of.dk_BTC, of.dq_weight_WC, of.dk_weight_WC, of.dcorrection_G};
      });
}

QueryKey by_parts(const Stream& q_stream, const Stream& k_stream, std::int64_t heads, const at::Tensor& D_log,
                  const Documents& documents) {
  const auto by_head = [&](const Stream& stream) {
    return short_convolution(stream.x_BTC, stream.weight, {}, documents, stream.carried)
        .unflatten(-1, {heads, -1});
  };
  at::Tensor q = by_head(q_stream);
  const at::Tensor k = by_head(k_stream);
  if (D_log.defined()) q = q - D_log.exp().to(q.scalar_type()).unsqueeze(-1) * k;
  return {l2_norm(q) * (1 / std::sqrt(static_cast<double>(q.size(-1)))), l2_norm(k)};
}

}  // namespace

QueryKey query_key(const Stream& q, const Stream& k, std::int64_t heads, const at::Tensor& D_log,
                   const Documents& documents) {
  const Fused* module = fused(q.x_BTC.device());
  if (!module || !q.weight.defined()) return by_parts(q, k, heads, D_log, documents);
  // The sizes alone decide: before anything is carried over.
  const std::int64_t tokens = q.x_BTC.size(1), past = q.weight.size(2) - 1;
  FusedQueryKey::Inputs in{.q_BTC = q.x_BTC,
                           .k_BTC = k.x_BTC,
                           .q_weight_WC = by_tap(q.weight, at::kFloat),
                           .k_weight_WC = by_tap(k.weight, at::kFloat),
                           .heads = heads};
  if (!module->query_key.takes(in)) return by_parts(q, k, heads, D_log, documents);
  in.q_BTC = behind_carried(q.x_BTC, past, q.carried);
  in.k_BTC = behind_carried(k.x_BTC, past, k.carried);
  in.position_BT = documents.position_BT;
  if (D_log.defined()) in.correction_G = D_log.exp().to(at::kFloat);
  const Tensors y = by_kernel(module->query_key, in);
  const auto by_head = [=](const at::Tensor& whole) {
    return last_tokens(whole, tokens).unflatten(-1, {heads, -1});
  };
  const QueryKey made{by_head(y[0]), by_head(y[1])};
  if (remakes().results) {
    remake({made.q_BTGK, made.k_BTGK}, tensors(in), [=](const Tensors& from) {
      const auto [q, k] = module->query_key.forward(inputs_of(from, heads));
      return Tensors{by_head(q), by_head(k)};
    });
  }
  return made;
}

}  // namespace mdnlab::ops
