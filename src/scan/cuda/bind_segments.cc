#include "scan/cuda/bind_segments.h"

#include <c10/cuda/CUDAStream.h>

#include "scan/cuda/device.h"
#include "scan/cuda/streams.h"

namespace mdnlab::scan {

namespace {

using c10::cuda::getCurrentCUDAStream;

// The documents of the launch are these segments.
cuda::ChunkScan of_segments(const cuda::ChunkScan& whole, Segments segments) {
  const int documents = whole.sizes.documents;
  cuda::ChunkScan part = whole;
  part.document += segments.first * documents;
  part.sizes.documents = (segments.last - segments.first) * documents;
  return part;
}

struct Halves {
  float *S, *M;  // null without momentum
};
Halves halves(const at::Tensor& states) {
  float* const S = states.mutable_data_ptr<float>();
  return {S, states.size(0) == 2 ? S + states.stride(0) : nullptr};
}

cuda::ChunkScan forward(const cuda::ChunkScan& whole, Segments segments, const at::Tensor& states) {
  cuda::ChunkScan part = of_segments(whole, segments);
  const Halves both = halves(states);
  part.initial_S = part.final_S = both.S;
  part.initial_M = part.final_M = both.M;
  return part;
}

}  // namespace

void BoundSegments::outputs(Segments segments, const at::Tensor& states) {
  check_cuda(launch_outputs(forward(scan_, segments, states), getCurrentCUDAStream()),
             "scan: the forward pass");
}

void BoundSegments::ends(Segments segments, const at::Tensor& states) {
  cuda::ChunkScan part = forward(scan_, segments, states);
  part.sizes.value_width = static_cast<int>(states.size(5));
  part.states = part.residuals = nullptr;
  check_cuda(launch_states(part, getCurrentCUDAStream()), "scan: the maps of the segments");
}

void BoundSegments::states(Segments segments, const at::Tensor& states) {
  check_cuda(launch_states(forward(scan_, segments, states), getCurrentCUDAStream()),
             "scan: the states for the backward pass");
}

void BoundSegments::reverse(Segments segments, const at::Tensor& d_states) {
  cuda::ChunkScan part = of_segments(scan_, segments);
  const Halves both = halves(d_states);
  part.d_final_S = part.d_initial_S = both.S;
  part.d_final_M = part.d_initial_M = both.M;
  check_cuda(launch_reverse(part, getCurrentCUDAStream()), "scan: the reverse scan");
}

void BoundSegments::side_by_side(const std::vector<std::function<void()>>& work) { scan::side_by_side(work); }

}  // namespace mdnlab::scan
