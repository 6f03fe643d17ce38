// How well a GPU is used, beside the metrics of training: train/mfu and train/peak_memory_mib.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <optional>

#include "check/peak_memory.h"
#include "metric/sink.h"

namespace mdnlab {

// The dense rate of the device's products in this dtype, FLOP a second, by NVIDIA's data sheet: of bf16
// alone, on a GPU that cards.h knows.
std::optional<double> peak_flops(c10::Device device, at::ScalarType dtype);

// Passes everything on; with each train/tokens_per_second, on a GPU, come
//
//     train/mfu               tokens/s · FLOPs a token (model/spec.h: products of the model's formulas,
//     attention where
//                             a rule has it, none that is computed twice) / peak_flops(). A
//                             step alone: evaluations and checkpoints are not in its time. Where peak_flops()
//                             is known.
//     train/peak_memory_mib   the most that LibTorch's tensors held at once since construction, so make it
//     before
//                             the model.
class UtilisationSink final : public Sink {
 public:
  UtilisationSink(Sink& next, c10::Device device, double flops_per_token, std::optional<double> peak_flops);

  void metric(std::int64_t step, std::string_view name, double value) override;
  void score(const Score& score) override { next_.score(score); }

 private:
  Sink& next_;
  double flops_per_token_;
  std::optional<double> peak_flops_;
  std::optional<PeakMemory> memory_;
};

}  // namespace mdnlab
