#include "scan/cuda/streams.h"

#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace mdnlab::scan {

void side_by_side(const std::vector<std::function<void()>>& work) {
  const c10::cuda::CUDAStream here = c10::cuda::getCurrentCUDAStream();
  at::cuda::CUDAEvent before;
  before.record(here);
  std::vector<at::cuda::CUDAEvent> done(work.size());
  for (std::size_t i = 0; i < work.size(); ++i) {
    const c10::cuda::CUDAStreamGuard guard(i == 0 ? here : c10::cuda::getStreamFromPool());
    if (i > 0) before.block(c10::cuda::getCurrentCUDAStream());
    work[i]();
    if (i > 0) done[i].record();
  }
  for (std::size_t i = 1; i < work.size(); ++i) done[i].block(here);
}

bool is_stream_recording() {
  return c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None;
}

}  // namespace mdnlab::scan
