#include "train/step_batches.h"

#include <ATen/TensorOperators.h>

#include "scan/upload.h"
#include "train/options.h"

namespace mdnlab {

StepBatches read_step(const Task& task, const Params& train, std::int64_t step, at::Device device) {
  const std::int64_t batch_size = train.integer("batch_size"), batches = accumulation(train);
  StepBatches result;
  for (std::int64_t i = 0; i < batches; ++i) {
    const Batch batch = task.training((step * batches + i) * batch_size, batch_size);
    const at::Tensor labels = batch.labels_BT.flatten();
    const at::Tensor labelled = (labels != no_label).nonzero().squeeze(1);
    if (labelled.numel() == 0) continue;
    result.labels += labelled.numel();
    // Every position may be labelled (text) or few (recall).
    const bool all = labelled.numel() == labels.numel();
    result.batches.push_back({.tokens_BT = upload(batch.tokens_BT, device),
                              .documents = batch.documents.to(device),
                              .positions = all ? at::Tensor() : upload(labelled, device),
                              .labels = upload(all ? labels : labels.index_select(0, labelled), device)});
  }
  return result;
}

}  // namespace mdnlab
