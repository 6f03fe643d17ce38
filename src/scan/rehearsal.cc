#include "scan/rehearsal.h"

#include <c10/core/Allocator.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>

#include "scan/batched/batched.h"
#include "scan/chunk_cpu.h"
#include "scan/rehearsed_kernels.h"

namespace mdnlab {

struct Rehearsal::Meter {
  c10::DeviceType as;
  std::atomic<std::int64_t> held = 0, peak = 0;

  void add(std::int64_t bytes) {
    held += bytes;
    peak = std::max(peak.load(), held.load());
  }
};

namespace {

thread_local std::shared_ptr<Rehearsal::Meter> meter;

struct Piece {
  std::shared_ptr<Rehearsal::Meter> meter;
  std::int64_t bytes;
};

void let_go(void* context) {
  const std::unique_ptr<Piece> piece(static_cast<Piece*>(context));
  piece->meter->add(-piece->bytes);
}

// Gives no memory, as LibTorch's own of this device, and counts what is asked for.
struct CountingAllocator final : c10::Allocator {
  c10::DataPtr allocate(std::size_t size) override {
    const c10::Device device(c10::kMeta);
    if (!meter || size == 0) return {nullptr, nullptr, &c10::detail::deleteNothing, device};
    constexpr std::int64_t block = 512;  // of LibTorch's allocator on a GPU
    auto bytes = static_cast<std::int64_t>(size);
    if (meter->as == c10::kCUDA) bytes = (bytes + block - 1) / block * block;
    meter->add(bytes);
    return {nullptr, new Piece{meter, bytes}, let_go, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void*, const void*, std::size_t) const override {}
};

}  // namespace

Rehearsal::Rehearsal(c10::DeviceType as) : meter_(std::make_shared<Meter>()) {
  static CountingAllocator counting;
  [[maybe_unused]] static const bool is_set = (c10::SetAllocator(c10::kMeta, &counting, 1), true);
  if (meter) throw std::logic_error("Rehearsal: one at a time");
  prepare_meta_device();
  meter_->as = as;
  meter = meter_;
}

Rehearsal::~Rehearsal() { meter.reset(); }

std::int64_t Rehearsal::peak_bytes() const { return meter_->peak; }

bool is_rehearsed() { return meter != nullptr; }

bool is_rehearsed_as(c10::DeviceType type) { return meter && meter->as == type; }

bool is_as_on(c10::DeviceType type, const at::Tensor& x) {
  return x.device().type() == type || (x.is_meta() && is_rehearsed_as(type));
}

void prepare_meta_device() {
  static std::once_flag once;
  std::call_once(once, [] {
    const auto takes_all = [](const scan::Inputs&) { return std::string(); };
    const auto like_cpu = [](const scan::Inputs& in) {
      return std::string(is_as_on(c10::kCPU, in.q_BTGK) ? "" : "it stands for another device");
    };
    scan::add_implementation(c10::kMeta, {.name = "batched",
                                          .refusal = takes_all,
                                          .forward = scan::forward_batched,
                                          .backward = scan::backward_batched,
                                          .step = scan::step_batched});
    scan::add_implementation(c10::kMeta, {.name = "cpu",
                                          .refusal = like_cpu,
                                          .forward = scan::forward_cpu,
                                          .backward = scan::backward_cpu,
                                          .step = scan::step_batched});
    scan::add_implementation(c10::kMeta, scan::rehearsed_hopper);
  });
}

}  // namespace mdnlab
