#include "train/forward_backward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include "ops/cross_entropy.h"

namespace mdnlab {

at::Tensor forward_backward(const LanguageModel& model, const StepBatches& step) {
  at::Tensor loss = at::zeros({}, at::TensorOptions(model.device()).dtype(at::kDouble));
  for (const LabelledBatch& batch : step.batches) {
    const at::Tensor hidden = model.hidden(batch.tokens_BT, batch.documents).flatten(0, 1);
    const at::Tensor chosen = batch.positions.defined() ? hidden.index_select(0, batch.positions) : hidden;
    const at::Tensor share =
        ops::linear_cross_entropy(chosen, model.head(), batch.labels, 1 / static_cast<double>(step.rows));
    share.backward(step.rows_per_label);
    loss += share.detach() * step.rows_per_label;
  }
  return loss;
}

}  // namespace mdnlab
