// A rehearsal: a computation gone through on LibTorch's `meta` device, whose tensors have shapes and no data.
// Nothing is computed, but every tensor is made and let go when it would be, so that the fullest moment can
// be known beforehand, of models and on devices that are not here.
//
// While one lasts, meta tensors stand for those of another device: the scan and the operations of ops/ take
// the path that they would take there and make what they would make. What a library keeps beside LibTorch's
// tensors (a GPU's context, the workspace of its matrix products) is not in it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace mdnlab {

class Rehearsal {
 public:
  // Of what this thread does, until it is destroyed: as on a CPU, or (kCUDA) on a GPU that our kernels are
  // for, or (kMeta) on one that they are not for. One at a time in a thread.
  explicit Rehearsal(c10::DeviceType as);
  ~Rehearsal();
  Rehearsal(const Rehearsal&) = delete;
  Rehearsal& operator=(const Rehearsal&) = delete;

  std::int64_t peak_bytes() const;  // the most that meta tensors held at once so far

  struct Meter;

 private:
  std::shared_ptr<Meter> meter_;
};

// Whether a rehearsal, or one as on such a device, lasts in this thread.
bool is_rehearsed();
bool is_rehearsed_as(c10::DeviceType type);

// Whether x is on such a device, or is meta and stands for one.
bool is_as_on(c10::DeviceType type, const at::Tensor& x);

// The scan takes meta tensors from then on; without a rehearsal as batched matrix products.
void prepare_meta_device();

}  // namespace mdnlab
