#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "ops/cuda/bind.h"

namespace mdnlab::ops::cuda {

namespace {

class Graph final : public Recording {
 public:
  Graph(at::Device device, const std::function<void()>& work) : device_(device) {
    const c10::cuda::CUDAGuard guard(device);
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    const c10::cuda::CUDAStreamGuard stream(c10::cuda::getStreamFromPool(false, device.index()));
    // Other threads may go on with what is theirs: one writes checkpoints.
    graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      try {
        graph_.capture_end();  // throws again where the recording is spoilt; the stream is free in any case
      } catch (const std::exception&) {
      }
      throw;
    }
    graph_.capture_end();
  }

  void play() override {
    const c10::cuda::CUDAGuard guard(device_);
    graph_.replay();
  }

 private:
  at::Device device_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<Recording> record(at::Device device, const std::function<void()>& work) {
  return std::make_unique<Graph>(device, work);
}

}  // namespace mdnlab::ops::cuda
