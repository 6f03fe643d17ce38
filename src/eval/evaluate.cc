#include "eval/evaluate.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>

#include <algorithm>

#include "scan/upload.h"

namespace mdnlab {

namespace {

// Logits exist for this many positions at a time.
constexpr std::int64_t positions_at_once = 4096;

Predictions predict(const LanguageModel& model, const Batch& batch) {
  const at::Tensor labels = batch.labels_BT.flatten();
  const at::Tensor labelled = (labels != no_label).nonzero().squeeze(1);
  const at::Device device = model.device();
  const at::Tensor hidden =
      model.hidden(upload(batch.tokens_BT, device), batch.documents.to(device)).flatten(0, 1);
  const at::Tensor chosen = hidden.index_select(0, upload(labelled, device));
  const at::Tensor wanted = upload(labels.index_select(0, labelled), device);
  std::vector<at::Tensor> nll, correct;
  for (std::int64_t from = 0; from < wanted.size(0); from += positions_at_once) {
    const std::int64_t count = std::min(positions_at_once, wanted.size(0) - from);
    const at::Tensor logits = model.logits(chosen.narrow(0, from, count));
    const at::Tensor target = wanted.narrow(0, from, count);
    nll.push_back(-at::log_softmax(logits, -1).gather(1, target.unsqueeze(1)).squeeze(1).to(at::kDouble));
    correct.push_back(logits.argmax(-1) == target);
  }
  return {at::cat(nll).cpu(), at::cat(correct).cpu()};
}

}  // namespace

std::vector<Score> evaluate(const LanguageModel& model, const Task& task, Split split,
                            std::int64_t batch_tokens, const std::function<bool()>& should_stop) {
  const at::NoGradGuard no_grad;
  const std::unique_ptr<Evaluation> evaluation = task.evaluation(split);
  while (const std::optional<Batch> batch = evaluation->next(batch_tokens)) {
    if (should_stop()) return {};
    evaluation->add(*batch, predict(model, *batch));
  }
  return evaluation->scores();
}

}  // namespace mdnlab
