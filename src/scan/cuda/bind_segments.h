// The chunk kernels (chunk.h) on segments of documents.
#pragma once

#include "scan/cuda/bound_scan.h"
#include "scan/cuda/segments.h"

namespace mdnlab::scan {

// Of a scan that is laid out in segments, prepared, and has what launch_outputs or launch_reverse and
// launch_states write. On the current stream; both objects stay where they are while it is used.
class BoundSegments final : public SegmentScan {
 public:
  explicit BoundSegments(const BoundScan& bound)
      : scan_(bound.scan()), has_equal_maps_(bound.has_equal_maps()) {}

  bool has_delta() const override { return !has_equal_maps_; }
  void outputs(Segments segments, const at::Tensor& states) override;
  void ends(Segments segments, const at::Tensor& states) override;
  void states(Segments segments, const at::Tensor& states) override;
  void reverse(Segments segments, const at::Tensor& d_states) override;
  void side_by_side(const std::vector<std::function<void()>>& work) override;

 private:
  const cuda::ChunkScan& scan_;
  bool has_equal_maps_;
};

}  // namespace mdnlab::scan
