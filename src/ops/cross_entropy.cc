#include "ops/cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

#include "ops/fused.h"
#include "ops/layer.h"
#include "scan/rehearsal.h"
#include "scan/with_backward.h"

namespace mdnlab::ops {

namespace {

// Products of matrices whose rows are not 16-byte aligned are slow on a GPU: there the vocabulary is filled
// up to a multiple of this by words of weight 0, which no softmax sees and whose gradient stays 0.
constexpr std::int64_t kWords = 64;

// W, V filled up.
std::int64_t words_of(const at::Tensor& weight_VD) {
  const std::int64_t V = weight_VD.size(0);
  return is_as_on(at::kCPU, weight_VD) ? V : (V + kWords - 1) / kWords * kWords;
}

// (W,D) in the compute dtype.
at::Tensor head_of(const at::Tensor& weight_VD, const at::Tensor& hidden) {
  const at::Tensor weight = weight_VD.detach();
  const std::int64_t V = weight.size(0), W = words_of(weight);
  if (V == W) return weight.to(hidden.scalar_type());
  const at::Tensor head = at::empty({W, weight.size(1)}, hidden.options());
  head.narrow(0, 0, V).copy_(weight);
  head.narrow(0, V, W - V).zero_();
  return head;
}

std::int64_t rows_of_chunk(std::int64_t rows, std::int64_t row_bytes, std::int64_t logits_bytes) {
  const auto fit = static_cast<std::uint64_t>(std::max<std::int64_t>(logits_bytes / row_bytes, 1));
  return std::min(rows, static_cast<std::int64_t>(std::bit_floor(fit)));
}

// −log p(label) of each row. With `differentiate` the logits become its gradient by them: softmax − onehot.
at::Tensor losses_of_chunk(at::Tensor logits_NV, const at::Tensor& labels_N, bool differentiate) {
  const Fused* module = fused(logits_NV.device());
  if (module && module->cross_entropy.takes(logits_NV))
    return module->cross_entropy.losses(logits_NV, labels_N, differentiate);
  const at::Tensor counts_not = (labels_N == kNoLabel).unsqueeze(1),
                   log_p = at::log_softmax(logits_NV, -1, statistics_dtype(logits_NV)),
                   label = labels_N.unsqueeze(1).masked_fill(counts_not, 0), chosen = log_p.gather(1, label);
  if (differentiate) {
    at::exp_out(logits_NV, log_p);
    logits_NV.scatter_(1, label, at::expm1(chosen).to(logits_NV.scalar_type()));
    logits_NV.masked_fill_(counts_not, 0);
  }
  return -chosen.masked_fill(counts_not, 0).squeeze(1);
}

// sum += scale · a b, in the dtype of sum.
void add_product(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b, double scale) {
  if (sum.scalar_type() == a.scalar_type()) {
    at::addmm_out(sum, sum, a, b, 1, scale);
  } else if (is_as_on(at::kCUDA, a)) {
    if (a.is_meta()) return;  // of this product LibTorch knows no shape
    at::addmm_out(sum, sum, a, b, sum.scalar_type(), 1, scale);
  } else {
    sum.add_(at::mm(a, b), scale);
  }
}

// Gradients of scale · Σ −log p(label): dhidden is written, dweight (W,D) added to; undefined: not wanted.
struct Gradients {
  double scale = 1;
  at::Tensor dhidden_ND, dweight_WD;
};

// −log p(label) of each row.
at::Tensor losses(const at::Tensor& hidden_ND, const at::Tensor& weight_VD, const at::Tensor& labels_N,
                  std::int64_t logits_bytes, Gradients wanted) {
  const at::Tensor head = head_of(weight_VD, hidden_ND);
  const std::int64_t rows = hidden_ND.size(0), V = weight_VD.size(0), W = head.size(0);
  const std::int64_t at_once =
      rows_of_chunk(rows, W * static_cast<std::int64_t>(hidden_ND.element_size()), logits_bytes);
  const bool differentiate = wanted.dhidden_ND.defined() || wanted.dweight_WD.defined();
  const at::Tensor space = at::empty({at_once, W}, hidden_ND.options()),
                   result = at::empty({rows}, hidden_ND.options().dtype(statistics_dtype(hidden_ND)));
  for (std::int64_t from = 0; from < rows; from += at_once) {
    const std::int64_t count = std::min(at_once, rows - from);
    const auto part = [&](const at::Tensor& whole) { return whole.narrow(0, from, count); };
    const at::Tensor hidden = part(hidden_ND);
    at::Tensor logits = space.narrow(0, 0, count);
    at::mm_out(logits, hidden, head.t());
    part(result).copy_(losses_of_chunk(logits.narrow(1, 0, V), part(labels_N), differentiate));
    if (wanted.dhidden_ND.defined()) {
      at::Tensor dhidden = part(wanted.dhidden_ND);
      at::addmm_out(dhidden, dhidden, logits, head, 0, wanted.scale);
    }
    if (wanted.dweight_WD.defined()) add_product(wanted.dweight_WD, logits.t(), hidden, wanted.scale);
  }
  return result;
}

void multiply(at::Tensor& x, const at::Tensor& factor) {
  const Fused* module = fused(x.device());
  if (module && module->scaling.takes(x, factor)) {
    module->scaling.multiply(x, factor);
  } else {
    x.mul_(factor.to(x.scalar_type()));
  }
}

at::Tensor loss_with_gradients(const at::Tensor& hidden_ND, const at::Tensor& weight_VD,
                               const at::Tensor& labels_N, double scale, std::int64_t logits_bytes) {
  const auto gradients = std::make_shared<Tensors>(2);  // made with the loss, before they are asked for
  return with_backward(
      {hidden_ND, weight_VD},
      [&](Tensors&) {
        Gradients made{.scale = scale};
        if (hidden_ND.requires_grad()) made.dhidden_ND = at::empty_like(hidden_ND);
        if (weight_VD.requires_grad())
          made.dweight_WD = at::zeros({words_of(weight_VD), weight_VD.size(1)}, weight_VD.options());
        const at::Tensor each = losses(hidden_ND, weight_VD, labels_N, logits_bytes, made);
        *gradients = {made.dhidden_ND, made.dweight_WD.defined()
                                           ? made.dweight_WD.narrow(0, 0, weight_VD.size(0))
                                           : at::Tensor()};
        return Tensors{scale * each.sum(at::kDouble)};
      },
      [gradients](const BackwardPass& pass) {
        // A graph that is kept keeps its tensors; else they are handed on as they are.
        Tensors scaled = pass.comes_again ? *gradients : std::exchange(*gradients, Tensors(2));
        for (at::Tensor& gradient : scaled) {
          if (!gradient.defined()) continue;
          if (pass.comes_again)
            gradient = gradient * pass.adjoints[0].to(gradient.scalar_type());
          else
            multiply(gradient, pass.adjoints[0]);
        }
        return scaled;
      })[0];
}

}  // namespace

at::Tensor linear_cross_entropy(const at::Tensor& hidden_ND, const at::Tensor& weight_VD,
                                const at::Tensor& labels_N, double scale, std::int64_t logits_bytes) {
  if (at::GradMode::is_enabled() && (hidden_ND.requires_grad() || weight_VD.requires_grad()))
    return loss_with_gradients(hidden_ND, weight_VD, labels_N, scale, logits_bytes);
  const at::NoGradGuard no_grad;
  return scale * losses(hidden_ND, weight_VD, labels_N, logits_bytes, {}).sum(at::kDouble);
}

at::Tensor label_log_probabilities(const at::Tensor& hidden_ND, const at::Tensor& weight_VD,
                                   const at::Tensor& labels_N, std::int64_t logits_bytes) {
  const at::NoGradGuard no_grad;
  return -losses(hidden_ND, weight_VD, labels_N, logits_bytes, {});
}

}  // namespace mdnlab::ops
