#include "run/training_memory.h"

#include <algorithm>

#include "base/gpu.h"
#include "ops/cross_entropy.h"
#include "scan/cuda_module.h"
#include "scan/rehearsal.h"
#include "train/optimizer.h"
#include "train/step_batches.h"

namespace mdnlab {

namespace {

// As Trainer's; the second batch of a step finds the gradients of the first.
void forward_backward(const LanguageModel& model, const StepBatches& step) {
  const std::size_t count = std::min<std::size_t>(step.batches.size(), 2);
  for (std::size_t i = 0; i < count; ++i) {
    const LabelledBatch& batch = step.batches[i];
    const at::Tensor hidden = model.hidden(batch.tokens_BT, batch.documents).flatten(0, 1);
    const at::Tensor chosen = batch.positions.defined() ? hidden.index_select(0, batch.positions) : hidden;
    ops::linear_cross_entropy(chosen, model.head(), batch.labels, 1 / static_cast<double>(step.labels))
        .backward();
  }
}

}  // namespace

c10::DeviceType rehearsal_of(c10::Device device) {
  if (device.is_cpu()) return c10::kCPU;
  const auto index = static_cast<std::size_t>(std::max<int>(device.index(), 0));
  const bool has_kernels = gpu_facts().gpus.at(index).capability == 90 && scan::cuda_module().trouble.empty();
  return has_kernels ? c10::kCUDA : c10::kMeta;
}

std::optional<TrainingMemory> training_memory(const RunConfig& config, const Plugins& plugins,
                                              const Task& task, std::int64_t vocab_size, c10::DeviceType as) {
  const Rehearsal rehearsal(as);
  TrainingMemory memory;
  try {
    const LanguageModel model(config.model, plugins, vocab_size, dtype_of(config.train.text("dtype")), 0,
                              at::kMeta);
    const std::int64_t parameter_bytes = rehearsal.peak_bytes();
    const AdamW optimizer(model.parameters(), config.train);
    memory.kept_bytes = rehearsal.peak_bytes() + parameter_bytes;
    forward_backward(model, read_step(task, config.train, 0, at::kMeta));
    memory.peak_bytes = rehearsal.peak_bytes();
  } catch (const c10::Error&) {
    return std::nullopt;
  }
  return memory;
}

}  // namespace mdnlab
