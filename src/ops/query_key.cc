#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>

#include "ops/convolution.h"
#include "ops/fused.h"
#include "ops/layer.h"
#include "scan/remade.h"

namespace mdnlab::ops {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensors tensors(const FusedQueryKey::Inputs& in) {
  return {in.q_BTC, in.k_BTC, in.q_weight_WC, in.k_weight_WC, in.correction_G, in.position_BT};
}

FusedQueryKey::Inputs inputs_of(const Tensors& list, std::int64_t heads) {
  return {list[0], list[1], list[2], list[3], list[4], list[5], heads};
}

class Whole : public torch::autograd::Function<Whole> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& q_BTC, const at::Tensor& k_BTC,
                               const at::Tensor& q_weight_WC, const at::Tensor& k_weight_WC,
                               const std::optional<at::Tensor>& correction_G, const Documents& documents,
                               std::int64_t heads) {
    const FusedQueryKey::Inputs in{
        q_BTC, k_BTC, q_weight_WC, k_weight_WC, correction_G.value_or(at::Tensor()), documents.position_BT,
        heads};
    context->save_for_backward(tensors(in));
    context->saved_data["heads"] = heads;
    const auto [q, k] = fused(q_BTC.device())->query_key.forward(in);
    return {q, k};
  }

  static variable_list backward(AutogradContext* context, variable_list adjoints) {
    const FusedQueryKey::Inputs in =
        inputs_of(context->get_saved_variables(), context->saved_data["heads"].toInt());
    const FusedQueryKey::Gradients of =
        fused(in.q_BTC.device())->query_key.backward(in, {adjoints[0], adjoints[1]});
    return {of.dq_BTC, of.dk_BTC, of.dq_weight_WC, of.dk_weight_WC, of.dcorrection_G, {}, {}};
  }
};

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
  const variable_list y =
      Whole::apply(in.q_BTC, in.k_BTC, in.q_weight_WC, in.k_weight_WC,
                   D_log.defined() ? std::optional(in.correction_G) : std::nullopt, documents, heads);
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
