#include "train/step_batches.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>

#include "scan/upload.h"
#include "train/options.h"

namespace mdnlab {

namespace {

// Above this share of labelled tokens the others go through the head too: that costs less than to pick.
constexpr double kNearlyAll = 7.0 / 8;

ops::Documents repeatable(const Batch& batch, at::Device device, std::int64_t& in_a_row) {
  const std::int64_t needed = batch.documents.most_in_a_row();
  if (needed > std::max<std::int64_t>(in_a_row, 1)) in_a_row = (needed + needed / 4 + 3) / 4 * 4;
  if (in_a_row == 0) return {};
  return filled_up(batch.documents, batch.tokens_BT.size(0), batch.tokens_BT.size(1), in_a_row, device);
}

// How many tokens of a batch go through the head.
std::int64_t rows_for(std::int64_t labelled, std::int64_t tokens, std::int64_t* room) {
  if (!room) return labelled;
  const bool is_first = *room == 0;  // tasks that label as many in each batch need nothing to spare
  if (labelled > *room)
    *room = is_first ? labelled : std::min((labelled + labelled / 4 + 63) / 64 * 64, tokens);
  return *room;
}

// The labelled ones and as many of the others as fill them up to `rows`. No token twice: the sum of gradients
// by token would take turns on it.
at::Tensor filled_up(const at::Tensor& labelled, const at::Tensor& labels, std::int64_t rows) {
  if (rows == labelled.numel()) return labelled;
  return at::cat({labelled, (labels == no_label).nonzero().squeeze(1).narrow(0, 0, rows - labelled.numel())});
}

}  // namespace

StepBatches read_step(const Task& task, const Params& train, std::int64_t step, at::Device device,
                      StepRoom* room) {
  const std::int64_t batch_size = train.integer("batch_size"), batches = accumulation(train);
  std::int64_t* const room_for_labels = room && !train.boolean("deterministic") ? &room->labels : nullptr;
  StepBatches result;
  std::int64_t all_labelled = 0;
  for (std::int64_t i = 0; i < batches; ++i) {
    const Batch batch = task.training((step * batches + i) * batch_size, batch_size);
    const at::Tensor labels = batch.labels_BT.flatten();
    const at::Tensor labelled = (labels != no_label).nonzero().squeeze(1);
    if (labelled.numel() == 0) continue;
    // Every position may be labelled (text) or few (recall).
    const std::int64_t rows = rows_for(labelled.numel(), labels.numel(), room_for_labels);
    const bool all = static_cast<double>(rows) >= kNearlyAll * static_cast<double>(labels.numel());
    const at::Tensor chosen = all ? at::Tensor() : filled_up(labelled, labels, rows);
    all_labelled += labelled.numel();
    result.rows += all ? labels.numel() : rows;
    result.batches.push_back(
        {.tokens_BT = upload(batch.tokens_BT, device),
         .documents = room ? repeatable(batch, device, room->documents_in_a_row) : batch.documents.to(device),
         .positions = all ? at::Tensor() : upload(chosen, device),
         .labels = upload(all ? labels : labels.index_select(0, chosen), device)});
  }
  result.rows_per_label =
      upload(at::scalar_tensor(static_cast<double>(result.rows) / static_cast<double>(all_labelled),
                               at::TensorOptions(at::kDouble)),
             device);
  return result;
}

}  // namespace mdnlab
