#include "scan/cuda/bind_chunk.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/ScalarType.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "scan/cuda/bind_step.h"
#include "scan/cuda/chunk.h"
#include "scan/cuda/device.h"
#include "scan/cuda/layout.h"
#include "scan/cuda/tensor_map.h"

namespace mdnlab::scan {

namespace {

constexpr std::int64_t kMostBlocks = 65535;  // along a grid's second and third dimension
constexpr std::int64_t kPanel = 64;

std::string refusal_of_size(const char* name, std::int64_t found, const char* takes) {
  return std::string(name) + " is " + std::to_string(found) + ", and it takes " + takes;
}

// The inputs as the kernels read them, and the buffers between kernels: a ChunkScan and what its pointers point to.
class Problem {
 public:
  explicit Problem(const Inputs& inputs)
      : q_(as_panels(inputs.q_BTGK)), k_(as_panels(inputs.k_BTGK)), v_(as_panels(inputs.v_BTHV)), stream_(c10::cuda::getCurrentCUDAStream()) {
    const std::int64_t documents = static_cast<std::int64_t>(document_starts(inputs).size()) - 1;
    layout_ = layout(inputs, 0, documents);
    scan_.key_width = static_cast<int>(q_.size(3));
    scan_.has_delta = inputs.has_delta;
    scan_.has_momentum = inputs.log_mu.defined();
    scan_.sizes = {.heads = static_cast<int>(v_.size(2)),
                   .key_heads = static_cast<int>(q_.size(2)),
                   .value_width = static_cast<int>(v_.size(3)),
                   .chunks = layout_.chunks,
                   .documents = layout_.documents};
    scan_.chunk = layout_.chunk();
    scan_.document = layout_.document();
    scan_.q = tensor_map(q_);
    scan_.k = tensor_map(k_);
    scan_.v = tensor_map(v_);
    scan_.log_alpha = kept(inputs.log_alpha);
    scan_.log_mu = kept(inputs.log_mu);
    scan_.beta = kept(inputs.beta_BTH);
    scan_.eta = kept(inputs.eta_BTH);
    scan_.look_ahead = static_cast<float>(inputs.look_ahead);
    scan_.initial_S = kept(inputs.initial_S_NHKV);
    scan_.initial_M = kept(inputs.initial_M_NHKV);
  }

  // Coefficients, T⁻¹ and L of every chunk.
  void prepare() {
    scan_.coefficients = static_cast<cuda::Coefficients*>(buffer(sizeof(cuda::Coefficients)));
    scan_.scores = panels();
    if (scan_.has_delta) scan_.inverse = panels();
    check_cuda(launch_prepare(scan_, stream_), "scan: preparing the chunks");
  }

  cuda::ChunkScan& scan() { return scan_; }
  cudaStream_t stream() const { return stream_; }

 private:
  const float* kept(const at::Tensor& tensor) {
    if (!tensor.defined()) return nullptr;
    tensors_.push_back(tensor.contiguous());
    return tensors_.back().const_data_ptr<float>();
  }
  // An entry of `bytes` for each head and chunk.
  void* buffer(std::int64_t bytes) {
    tensors_.push_back(at::empty({scan_.sizes.heads, scan_.sizes.chunks, bytes}, q_.options().dtype(at::kByte)));
    return tensors_.back().mutable_data_ptr();
  }
  void* panels() { return buffer(kPanel * kPanel * q_.element_size()); }

  at::Tensor q_, k_, v_;
  cudaStream_t stream_;
  Layout layout_;
  std::vector<at::Tensor> tensors_;
  cuda::ChunkScan scan_;
};

}  // namespace

std::string refusal_of_hopper(const Inputs& in) {
  if (const std::string reason = refusal_of_gpu(gpu_properties(in.q_BTGK.device())); !reason.empty()) return reason;
  if (in.q_BTGK.scalar_type() != at::kBFloat16) {
    return std::string("q is ") + c10::toString(in.q_BTGK.scalar_type()) + ", and it takes BFloat16";
  }
  const std::int64_t B = in.q_BTGK.size(0), T = in.q_BTGK.size(1), K = in.q_BTGK.size(3), H = in.v_BTHV.size(2), V = in.v_BTHV.size(3);
  if (!cuda::has_kernels(static_cast<int>(K))) return refusal_of_size("K", K, "64 or 128");
  if (V % kPanel != 0) return refusal_of_size("V", V, "multiples of 64");
  if (has_channel_decay(in)) return "log_alpha is channel-wise, and it takes one a head";
  if (in.p_BTHK.defined()) return "p is given, and it takes p = αk";
  if (B * T == 0) return "there are no tokens";
  if (B * T > std::numeric_limits<int>::max()) return refusal_of_size("B·T", B * T, "less than 2^31");
  if (H > kMostBlocks) return refusal_of_size("H", H, "up to 65535");
  const std::int64_t N = in.cu_seqlens.defined() ? in.cu_seqlens.size(0) - 1 : B;
  if (N > kMostBlocks) return refusal_of_size("the number of documents", N, "up to 65535");
  return {};
}

Outputs forward_hopper(const Inputs& in, const Options& options, Saved*) {
  const c10::cuda::CUDAGuard guard(in.q_BTGK.device());
  Problem problem(in);
  Outputs out;
  out.o_BTHV = at::empty(in.v_BTHV.sizes(), in.v_BTHV.options());
  problem.scan().o = out.o_BTHV.mutable_data_ptr();
  if (options.want_state) {
    const std::int64_t N = problem.scan().sizes.documents;
    const auto state = [&] {
      return at::empty({N, in.v_BTHV.size(2), in.q_BTGK.size(3), in.v_BTHV.size(3)}, in.v_BTHV.options().dtype(at::kFloat));
    };
    out.final_S_NHKV = state();
    problem.scan().final_S = out.final_S_NHKV.mutable_data_ptr<float>();
    if (in.log_mu.defined()) {
      out.final_M_NHKV = state();
      problem.scan().final_M = out.final_M_NHKV.mutable_data_ptr<float>();
    }
  }
  problem.prepare();
  check_cuda(launch_outputs(problem.scan(), problem.stream()), "scan: the forward pass");
  return out;
}

}  // namespace mdnlab::scan
