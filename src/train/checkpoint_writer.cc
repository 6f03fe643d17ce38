#include "train/checkpoint_writer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace mdnlab {

namespace {

at::Tensor host_memory(const at::Tensor& tensor) {
  const at::TensorOptions options = tensor.options().device(at::kCPU).requires_grad(false);
  if (tensor.is_cpu()) return at::empty_like(tensor, options);
  try {
    return at::empty_like(tensor, options.pinned_memory(true));
  } catch (const c10::Error&) {  // the host has no more to pin: the copy waits for the device then
    return at::empty_like(tensor, options);
  }
}

void copy(const TensorMap& from, TensorMap& to) {
  for (const auto& [name, tensor] : from) {
    at::Tensor& kept = to[name];
    if (!kept.defined()) kept = host_memory(tensor);
    kept.copy_(tensor, /*non_blocking=*/true);
  }
}

// Where the device stands now; none for the CPU, which has done what it was told.
std::optional<c10::Event> position(at::Device device) {
  if (device.is_cpu()) return {};
  c10::Event event(device.type());
  event.record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  return event;
}

}  // namespace

CheckpointWriter::CheckpointWriter(std::filesystem::path run_folder) : run_folder_(std::move(run_folder)) {}

CheckpointWriter::~CheckpointWriter() {
  if (pending_.valid()) pending_.wait();
}

void CheckpointWriter::write(Checkpoint checkpoint) {
  wait();
  const at::NoGradGuard no_grad;
  copy(checkpoint.model, model_);
  copy(checkpoint.optimizer, optimizer_);
  const at::Device device = checkpoint.model.empty() ? at::kCPU : checkpoint.model.begin()->second.device();
  checkpoint.model = model_;
  checkpoint.optimizer = optimizer_;
  pending_ = std::async(std::launch::async, [folder = run_folder_, content = std::move(checkpoint), device,
                                             copied = position(device)] {
    if (copied) {
      const c10::DeviceGuard guard(device);  // or the first GPU would be started
      copied->synchronize();
    }
    save_checkpoint(folder, content);
  });
}

void CheckpointWriter::look() {
  if (pending_.valid() && pending_.wait_for(std::chrono::seconds(0)) == std::future_status::ready)
    pending_.get();
}

void CheckpointWriter::wait() {
  if (pending_.valid()) pending_.get();
}

}  // namespace mdnlab
