#include "run/utilisation.h"

#include <algorithm>

#include "base/gpu.h"
#include "run/cards.h"

namespace mdnlab {

namespace {

// The first, where none is named.
c10::DeviceIndex index_of(c10::Device device) { return std::max<c10::DeviceIndex>(device.index(), 0); }

}  // namespace

std::optional<double> peak_flops(c10::Device device, at::ScalarType dtype) {
  if (device.is_cpu() || dtype != at::kBFloat16) return std::nullopt;
  const std::vector<Gpu>& gpus = gpu_facts().gpus;
  const auto index = static_cast<std::size_t>(index_of(device));
  return index < gpus.size() ? dense_bf16_flops(gpus[index].name) : std::nullopt;
}

UtilisationSink::UtilisationSink(Sink& next, c10::Device device, double flops_per_token,
                                 std::optional<double> peak_flops)
    : next_(next), flops_per_token_(flops_per_token), peak_flops_(peak_flops) {
  if (!device.is_cpu()) memory_.emplace(c10::Device(device.type(), index_of(device)));
}

void UtilisationSink::metric(std::int64_t step, std::string_view name, double value) {
  next_.metric(step, name, value);
  if (name != "train/tokens_per_second") return;
  if (peak_flops_) next_.metric(step, "train/mfu", value * flops_per_token_ / *peak_flops_);
  if (memory_) next_.metric(step, "train/peak_memory_mib", static_cast<double>(memory_->bytes()) / (1 << 20));
}

}  // namespace mdnlab
