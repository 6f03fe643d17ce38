// Documents of a scan's inputs as the kernels read them, and the buffers between kernels: a ChunkScan and
// what its pointers point to.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <vector>

#include "scan/cuda/chunk.h"
#include "scan/cuda/layout.h"
#include "scan/implementation.h"

namespace mdnlab::scan {

inline constexpr std::int64_t kPanel = 64, kPanelBytes = kPanel * kPanel * 2;  // a tile of 64×64

std::int64_t document_count(const Inputs& inputs);
// Whether only the GPU knows where the documents lie, and then their number in a row.
std::int64_t documents_of_row(const Inputs& inputs);

class BoundScan {
 public:
  // Documents first…last of the inputs; whole rows where only the GPU knows where they lie.
  BoundScan(const Inputs& inputs, std::int64_t first, std::int64_t last);

  // What there is to cut, no chunks where only the GPU knows them, and how it is cut, before the kernels run.
  Load load() const;
  int multiprocessors() const { return scan_.multiprocessors; }
  // Whether a segment's map (segments.h) is the same for all keys: without delta, but for channels that
  // decay.
  bool has_equal_maps() const { return !scan_.has_delta && !scan_.has_channel_decay; }
  void lay_out(const Cut& cut);

  // Null where the tensor is undefined; else its first element, or that of the first document's state. `read`
  // makes it contiguous and keeps it.
  const float* read(const at::Tensor& tensor);
  const float* read_state(const at::Tensor& state_NHKV);
  float* write_state(const at::Tensor& state_NHKV) const;

  // S and, with momentum, M of the documents, [Z,N,H,K,V]; 0 where undefined.
  at::Tensor states(const at::Tensor& S_NHKV, const at::Tensor& M_NHKV) const;
  void copy_states(const at::Tensor& from_ZNHKV, const at::Tensor& S_NHKV, const at::Tensor& M_NHKV) const;

  // An entry of `bytes` for each chunk and head.
  void* buffer(std::int64_t bytes);
  float* floats(std::int64_t count);

  // Coefficients, T⁻¹ and L of every chunk, or the operands of channel-wise decay: made on the current
  // stream; or those of these documents from what prepare() returned for all of them.
  Saved prepare(bool for_backward);
  void take_prepared(const Saved& of_all);

  cuda::ChunkScan& scan() { return scan_; }
  const cuda::ChunkScan& scan() const { return scan_; }

 private:
  at::Tensor part(const at::Tensor& state_NHKV) const;
  // `place` gives room for an entry of so many bytes for each chunk and head.
  void place_prepared(const std::function<void*(std::int64_t)>& place, bool for_backward);

  std::int64_t first_, first_chunk_;
  std::vector<std::int64_t> starts_;
  at::Tensor starts_there_;  // undefined: starts_
  Rows rows_;                // of starts_there_
  at::Tensor q_, k_, v_;
  Layout layout_;
  std::vector<at::Tensor> kept_;
  cuda::ChunkScan scan_;
};

}  // namespace mdnlab::scan
