#include "run/training_memory.h"

#include <algorithm>

#include "base/gpu.h"
#include "scan/cuda_module.h"
#include "scan/rehearsal.h"
#include "train/forward_backward.h"
#include "train/optimizer.h"
#include "train/options.h"
#include "train/step_batches.h"

namespace mdnlab {

namespace {

struct Training {
  const RunConfig& config;
  const Plugins& plugins;
  const Task& task;
  std::int64_t vocab_size;
  Params train;
};

std::optional<TrainingMemory> rehearsed(const Training& of, c10::DeviceType as) {
  const Rehearsal rehearsal(as);
  TrainingMemory memory;
  try {
    const LanguageModel model(of.config.model, of.plugins, of.vocab_size, dtype_of(of.train.text("dtype")), 0,
                              at::kMeta);
    const std::int64_t parameter_bytes = rehearsal.peak_bytes();
    const AdamW optimizer(model.parameters(), of.train);
    memory.kept_bytes = rehearsal.peak_bytes() + parameter_bytes;
    forward_backward(model, read_step(of.task, of.train, 0, at::kMeta));
    memory.peak_bytes = rehearsal.peak_bytes();
  } catch (const c10::Error&) {
    return std::nullopt;
  }
  return memory;
}

// What is rehearsed at once: the data are read for it. Of larger batches each row adds the same.
constexpr std::int64_t kMostTokens = std::int64_t{1} << 20;

// Steps of such batches, and of two where they were of several: the second finds the gradients of the first.
Params with_batch(const Params& train, std::int64_t rows) {
  Params changed = train;
  const std::int64_t batches = std::min<std::int64_t>(accumulation(train), 2);
  changed.set("batch_size", rows);
  changed.set("tokens_per_step", rows * train.integer("seq_len") * batches);
  return changed;
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
  const auto with_rows = [&](std::int64_t rows) {
    return rehearsed({config, plugins, task, vocab_size, with_batch(config.train, rows)}, as);
  };
  const std::int64_t rows = config.train.integer("batch_size");
  const std::int64_t most = std::max<std::int64_t>(2, kMostTokens / config.train.integer("seq_len"));
  if (rows <= most) return with_rows(rows);
  const std::optional<TrainingMemory> half = with_rows(most / 2), whole = with_rows(most);
  if (!half || !whole) return std::nullopt;
  const double of_a_row =
      static_cast<double>(whole->peak_bytes - half->peak_bytes) / static_cast<double>(most - most / 2);
  TrainingMemory memory = *whole;
  memory.peak_bytes += static_cast<std::int64_t>(of_a_row * static_cast<double>(rows - most));
  return memory;
}

}  // namespace mdnlab
