#include "scan/cuda/bound_scan.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAStream.h>

#include <numeric>

#include "scan/cuda/device.h"
#include "scan/cuda/segments.h"
#include "scan/cuda/tensor_map.h"

namespace mdnlab::scan {

std::int64_t document_count(const Inputs& in) {
  return in.cu_seqlens.defined() ? in.cu_seqlens.size(0) - 1 : in.q_BTGK.size(0);
}

std::int64_t documents_of_row(const Inputs& in) {
  const bool is_there = in.cu_seqlens.defined() && !in.cu_seqlens.is_cpu();
  return is_there ? document_count(in) / in.q_BTGK.size(0) : 0;
}

BoundScan::BoundScan(const Inputs& inputs, std::int64_t first, std::int64_t last)
    : first_(first),
      q_(as_panels(inputs.q_BTGK)),
      k_(as_panels(inputs.k_BTGK)),
      v_(as_panels(inputs.v_BTHV)) {
  if (const std::int64_t documents = documents_of_row(inputs); documents > 0) {
    const std::int64_t tokens = inputs.q_BTGK.size(1);
    rows_ = {.first_token = first / documents * tokens, .tokens = tokens, .documents = documents};
    starts_there_ = inputs.cu_seqlens.narrow(0, first, last - first + 1).contiguous();
    first_chunk_ = first / documents * rows_.chunks();
  } else {
    const std::vector<std::int64_t> all = document_starts(inputs);
    starts_.assign(all.begin() + first, all.begin() + last + 1);
    const std::vector<int> chunks = chunk_counts(all);
    first_chunk_ = std::accumulate(chunks.begin(), chunks.begin() + first, std::int64_t{0});
  }
  scan_.key_width = static_cast<int>(q_.size(3));
  scan_.has_delta = inputs.has_delta;
  scan_.has_momentum = inputs.log_mu.defined();
  scan_.has_channel_decay = has_channel_decay(inputs);
  scan_.is_half = q_.scalar_type() == at::kHalf;
  scan_.q_rows = {q_.const_data_ptr(), q_.stride(1), q_.stride(2)};
  scan_.k_rows = {k_.const_data_ptr(), k_.stride(1), k_.stride(2)};
  scan_.sizes = {.heads = static_cast<int>(v_.size(2)),
                 .key_heads = static_cast<int>(q_.size(2)),
                 .value_width = static_cast<int>(v_.size(3)),
                 .chunks = 0,
                 .documents = static_cast<int>(last - first)};
  scan_.multiprocessors = gpu_properties(q_.device()).multiprocessors;
  scan_.q = tensor_map(q_);
  scan_.k = tensor_map(k_);
  scan_.v = tensor_map(v_);
  scan_.log_alpha = read(inputs.log_alpha);
  scan_.log_mu = read(inputs.log_mu);
  scan_.beta = read(inputs.beta_BTH);
  scan_.eta = read(inputs.eta_BTH);
  scan_.look_ahead = static_cast<float>(inputs.look_ahead);
  scan_.initial_S = read_state(inputs.initial_S_NHKV);
  scan_.initial_M = read_state(inputs.initial_M_NHKV);
}

Load BoundScan::load() const {
  const int Z = scan_.has_momentum ? 2 : 1;
  const std::int64_t maps = map_width(!has_equal_maps(), Z, scan_.key_width);
  return {.chunks = starts_there_.defined() ? std::vector<int>() : chunk_counts(starts_),
          .heads = scan_.sizes.heads,
          .state_tiles = static_cast<int>(scan_.sizes.value_width / kPanel),
          .map_tiles = static_cast<int>(maps / kPanel),
          .row_bytes = std::int64_t{4} * Z * scan_.key_width};
}

void BoundScan::lay_out(const Cut& cut) {
  layout_ = starts_there_.defined() ? layout(starts_there_, rows_) : layout(starts_, cut, q_.device());
  scan_.sizes.chunks = layout_.chunks;
  scan_.chunk = layout_.chunk();
  scan_.document = layout_.document();
}

const float* BoundScan::read(const at::Tensor& tensor) {
  if (!tensor.defined()) return nullptr;
  kept_.push_back(tensor.contiguous());
  return kept_.back().const_data_ptr<float>();
}

const float* BoundScan::read_state(const at::Tensor& state_NHKV) {
  const float* const all = read(state_NHKV);
  return all ? all + first_ * kept_.back().stride(0) : nullptr;
}

float* BoundScan::write_state(const at::Tensor& state_NHKV) const {
  return state_NHKV.defined() ? part(state_NHKV).mutable_data_ptr<float>() : nullptr;
}

at::Tensor BoundScan::part(const at::Tensor& state_NHKV) const {
  return state_NHKV.narrow(0, first_, scan_.sizes.documents);
}

at::Tensor BoundScan::states(const at::Tensor& S_NHKV, const at::Tensor& M_NHKV) const {
  const auto& sizes = scan_.sizes;
  const at::Tensor all = at::zeros(
      {scan_.has_momentum ? 2 : 1, sizes.documents, sizes.heads, scan_.key_width, sizes.value_width},
      v_.options().dtype(at::kFloat));
  if (S_NHKV.defined()) all.select(0, 0).copy_(part(S_NHKV));
  if (M_NHKV.defined()) all.select(0, 1).copy_(part(M_NHKV));
  return all;
}

void BoundScan::copy_states(const at::Tensor& from_ZNHKV, const at::Tensor& S_NHKV,
                            const at::Tensor& M_NHKV) const {
  if (S_NHKV.defined()) part(S_NHKV).copy_(from_ZNHKV.select(0, 0));
  if (M_NHKV.defined()) part(M_NHKV).copy_(from_ZNHKV.select(0, 1));
}

void* BoundScan::buffer(std::int64_t bytes) {
  kept_.push_back(at::empty({scan_.sizes.chunks, scan_.sizes.heads, bytes}, q_.options().dtype(at::kByte)));
  return kept_.back().mutable_data_ptr();
}

float* BoundScan::floats(std::int64_t count) {
  kept_.push_back(at::empty({count}, q_.options().dtype(at::kFloat)));
  return kept_.back().mutable_data_ptr<float>();
}

void BoundScan::place_prepared(const std::function<void*(std::int64_t)>& place, bool for_backward) {
  if (has_coefficients(scan_))
    scan_.coefficients = static_cast<cuda::Coefficients*>(place(sizeof(cuda::Coefficients)));
  if (scan_.has_channel_decay) {
    scan_.channel_operands = place(cuda::channel_operand_bytes(scan_.key_width));
    if (scan_.has_momentum && for_backward) scan_.channel_pairs = place(cuda::channel_pair_bytes());
  } else {
    scan_.scores = place(kPanelBytes);
    if (scan_.has_delta) scan_.inverse = place(kPanelBytes);
  }
}

Saved BoundScan::prepare(bool for_backward) {
  const auto earlier = static_cast<std::ptrdiff_t>(kept_.size());
  place_prepared([this](std::int64_t bytes) { return buffer(bytes); }, for_backward);
  check_cuda(launch_prepare(scan_, c10::cuda::getCurrentCUDAStream()), "scan: preparing the chunks");
  return Saved(kept_.begin() + earlier, kept_.end());
}

void BoundScan::take_prepared(const Saved& of_all) {
  auto next = of_all.begin();
  const auto own = [&](std::int64_t) {
    return (next++)->narrow(0, first_chunk_, scan_.sizes.chunks).mutable_data_ptr();
  };
  place_prepared(own, true);
}

}  // namespace mdnlab::scan
