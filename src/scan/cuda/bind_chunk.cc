#include "scan/cuda/bind_chunk.h"

#include <ATen/cuda/CUDAEvent.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
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
constexpr std::int64_t kPanel = 64, kPanelBytes = kPanel * kPanel * 2;

std::string refusal_of_size(const char* name, std::int64_t found, const char* takes) {
  return std::string(name) + " is " + std::to_string(found) + ", and it takes " + takes;
}

// Documents first…last of the inputs as the kernels read them, and the buffers between kernels: a ChunkScan
// and what its pointers point to.
class Problem {
 public:
  Problem(const Inputs& inputs, std::int64_t first, std::int64_t last)
      : first_(first),
        q_(as_panels(inputs.q_BTGK)),
        k_(as_panels(inputs.k_BTGK)),
        v_(as_panels(inputs.v_BTHV)),
        stream_(c10::cuda::getCurrentCUDAStream()),
        layout_(layout(inputs, first, last)) {
    scan_.key_width = static_cast<int>(q_.size(3));
    scan_.has_delta = inputs.has_delta;
    scan_.has_momentum = inputs.log_mu.defined();
    scan_.has_channel_decay = has_channel_decay(inputs);
    scan_.q_rows = {q_.const_data_ptr(), q_.stride(1), q_.stride(2)};
    scan_.k_rows = {k_.const_data_ptr(), k_.stride(1), k_.stride(2)};
    scan_.sizes = {.heads = static_cast<int>(v_.size(2)),
                   .key_heads = static_cast<int>(q_.size(2)),
                   .value_width = static_cast<int>(v_.size(3)),
                   .chunks = layout_.chunks,
                   .documents = layout_.documents};
    scan_.multiprocessors = gpu_properties(q_.device()).multiprocessors;
    scan_.chunk = layout_.chunk();
    scan_.document = layout_.document();
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

  // Null where the tensor is undefined. `read` makes it contiguous and keeps it.
  const float* read(const at::Tensor& tensor) {
    if (!tensor.defined()) return nullptr;
    kept_.push_back(tensor.contiguous());
    return kept_.back().const_data_ptr<float>();
  }
  const float* read_state(const at::Tensor& state_NHKV) {
    const float* const all = read(state_NHKV);
    return all ? all + first_ * kept_.back().stride(0) : nullptr;
  }
  float* write_state(const at::Tensor& state_NHKV) const {
    return state_NHKV.defined() ? state_NHKV.mutable_data_ptr<float>() + first_ * state_NHKV.stride(0)
                                : nullptr;
  }

  // An entry of `bytes` for each head and chunk.
  void* buffer(std::int64_t bytes) {
    kept_.push_back(at::empty({scan_.sizes.heads, scan_.sizes.chunks, bytes}, q_.options().dtype(at::kByte)));
    return kept_.back().mutable_data_ptr();
  }

  float* floats(std::int64_t count) {
    kept_.push_back(at::empty({count}, q_.options().dtype(at::kFloat)));
    return kept_.back().mutable_data_ptr<float>();
  }

  // The states of every chunk and their adjoints: neither scan needs the other's, nor fills the card.
  void scan_both_ways() {
    const c10::cuda::CUDAStream here = c10::cuda::getCurrentCUDAStream(),
                                beside = c10::cuda::getStreamFromPool();
    at::cuda::CUDAEvent prepared, done;
    prepared.record(here);
    prepared.block(beside);
    check_cuda(launch_reverse(scan_, here), "scan: the reverse scan");
    check_cuda(launch_states(scan_, beside), "scan: the states for the backward pass");
    done.record(beside);
    done.block(here);
  }

  // Coefficients, T⁻¹ and L of every chunk.
  void prepare() {
    if (scan_.has_channel_decay) {
      scan_.channel_operands = buffer(cuda::channel_operand_bytes(scan_.key_width));
    } else {
      scan_.coefficients = static_cast<cuda::Coefficients*>(buffer(sizeof(cuda::Coefficients)));
      scan_.scores = buffer(kPanelBytes);
      if (scan_.has_delta) scan_.inverse = buffer(kPanelBytes);
    }
    check_cuda(launch_prepare(scan_, stream_), "scan: preparing the chunks");
  }

  cuda::ChunkScan& scan() { return scan_; }
  cudaStream_t stream() const { return stream_; }

 private:
  std::int64_t first_;
  at::Tensor q_, k_, v_;
  cudaStream_t stream_;
  Layout layout_;
  std::vector<at::Tensor> kept_;
  cuda::ChunkScan scan_;
};

std::int64_t document_count(const Inputs& in) {
  return in.cu_seqlens.defined() ? in.cu_seqlens.size(0) - 1 : in.q_BTGK.size(0);
}

at::Tensor empty_state(const Inputs& in) {
  return at::empty({document_count(in), in.v_BTHV.size(2), in.q_BTGK.size(3), in.v_BTHV.size(3)},
                   in.v_BTHV.options().dtype(at::kFloat));
}

// The states of every chunk and their adjoints are by far the most that the backward pass holds. Documents go
// in groups that keep them within bounds, as long as a group has enough of them to fill the card.
std::int64_t documents_at_once(const Inputs& in) {
  constexpr std::int64_t bound = std::int64_t{640} << 20, fewest_units = 96;
  const std::int64_t N = document_count(in), H = in.v_BTHV.size(2), V = in.v_BTHV.size(3);
  const std::int64_t chunks = in.q_BTGK.size(0) * in.q_BTGK.size(1) / cuda::kChunk + N;
  const std::int64_t state_bytes =
      in.q_BTGK.element_size() * in.q_BTGK.size(3) * V * (in.log_mu.defined() ? 2 : 1);
  const int key_width = static_cast<int>(in.q_BTGK.size(3));
  const std::int64_t channel_bytes =
      has_channel_decay(in) ? cuda::channel_operand_bytes(key_width) + cuda::channel_product_bytes(key_width)
                            : 0;
  const std::int64_t bytes = chunks * H * (2 * state_bytes + channel_bytes);
  std::int64_t groups = 1;
  while (bytes / groups > bound && N / (2 * groups) * H * (V / kPanel) >= fewest_units) groups *= 2;
  return (N + groups - 1) / groups;
}

}  // namespace

std::string refusal_of_hopper(const Inputs& in) {
  const std::int64_t tokens = in.q_BTGK.size(0) * in.q_BTGK.size(1), H = in.v_BTHV.size(2),
                     N = document_count(in);
  if (in.p_BTHK.defined()) return "p is given, and it takes p = αk";
  if (tokens == 0) return "there are no tokens";
  if (tokens > std::numeric_limits<int>::max()) return refusal_of_size("B·T", tokens, "less than 2^31");
  if (H > kMostBlocks) return refusal_of_size("H", H, "up to 65535");
  if (N > kMostBlocks) return refusal_of_size("the number of documents", N, "up to 65535");
  return {};
}

namespace {

// Without momentum only βη counts, and the kernels of channel-wise decay know β alone.
Inputs with_one_rate(const Inputs& in) {
  if (!has_channel_decay(in) || !in.eta_BTH.defined()) return in;
  Inputs out = in;
  out.beta_BTH = in.beta_BTH.defined() ? at::mul(in.beta_BTH, in.eta_BTH) : in.eta_BTH;
  out.eta_BTH = at::Tensor();
  return out;
}

Inputs backward_with_eta(const Inputs& in, const Options& options, const Saved& saved,
                         const Outputs& adjoints, std::array<bool, kTensors> wanted) {
  constexpr std::size_t kBeta = 5, kEta = 6;  // in the order of tensors()
  const bool wants_beta = wanted[kBeta], wants_eta = wanted[kEta];
  wanted[kBeta] = wants_beta || wants_eta;
  Inputs out = backward_hopper(with_one_rate(in), options, saved, adjoints, wanted);
  const at::Tensor d_rate = std::exchange(out.beta_BTH, at::Tensor());
  if (wants_beta && in.beta_BTH.defined()) out.beta_BTH = at::mul(d_rate, in.eta_BTH);
  if (wants_eta) out.eta_BTH = in.beta_BTH.defined() ? at::mul(d_rate, in.beta_BTH) : d_rate;
  return out;
}

}  // namespace

Outputs forward_hopper(const Inputs& given, const Options& options, Saved*) {
  const Inputs in = with_one_rate(given);
  const c10::cuda::CUDAGuard guard(in.q_BTGK.device());
  Problem problem(in, 0, document_count(in));
  Outputs out;
  out.o_BTHV = at::empty(in.v_BTHV.sizes(), in.v_BTHV.options());
  if (options.want_state) {
    out.final_S_NHKV = empty_state(in);
    if (in.log_mu.defined()) out.final_M_NHKV = empty_state(in);
  }
  problem.scan().o = out.o_BTHV.mutable_data_ptr();
  problem.scan().final_S = problem.write_state(out.final_S_NHKV);
  problem.scan().final_M = problem.write_state(out.final_M_NHKV);
  problem.prepare();
  check_cuda(launch_outputs(problem.scan(), problem.stream()), "scan: the forward pass");
  return out;
}

Inputs backward_hopper(const Inputs& in, const Options& options, const Saved& saved, const Outputs& adjoints,
                       const std::array<bool, kTensors>& wanted) {
  if (has_channel_decay(in) && in.eta_BTH.defined())
    return backward_with_eta(in, options, saved, adjoints, wanted);
  const c10::cuda::CUDAGuard guard(in.q_BTGK.device());
  const at::Tensor d_o = as_panels(
      adjoints.o_BTHV.defined() ? adjoints.o_BTHV : at::zeros(in.v_BTHV.sizes(), in.v_BTHV.options()));
  Inputs out;
  const auto given = tensors(in);
  const auto gradient = tensors(out);
  for (std::size_t i = 0; i < kTensors; ++i) {
    if (wanted[i] && given[i]->defined()) *gradient[i] = at::empty(given[i]->sizes(), given[i]->options());
  }
  // These three the kernels make in any case.
  const auto made = [](at::Tensor& wanted_one, const at::Tensor& like) {
    return wanted_one.defined() ? wanted_one : at::empty(like.sizes(), like.options());
  };
  const at::Tensor d_q = made(out.q_BTGK, in.q_BTGK), d_k = made(out.k_BTGK, in.k_BTGK),
                   d_v = made(out.v_BTHV, in.v_BTHV);
  const auto data = [](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.mutable_data_ptr<float>() : nullptr;
  };
  const std::int64_t K = in.q_BTGK.size(3), V = in.v_BTHV.size(3);

  const std::int64_t N = document_count(in), at_once = documents_at_once(in);
  for (std::int64_t first = 0; first < N; first += at_once) {
    Problem problem(in, first, std::min(first + at_once, N));
    cuda::ChunkScan& scan = problem.scan();
    const std::int64_t state_bytes = V * K * in.q_BTGK.element_size() * (scan.has_momentum ? 2 : 1);
    scan.d_o = tensor_map(d_o);
    scan.d_r = tensor_map(d_v);
    scan.d_final_S = problem.read_state(adjoints.final_S_NHKV);
    scan.d_final_M = problem.read_state(adjoints.final_M_NHKV);
    scan.d_q = d_q.mutable_data_ptr();
    scan.d_k = d_k.mutable_data_ptr();
    scan.d_v = d_v.mutable_data_ptr();
    scan.d_initial_S = problem.write_state(out.initial_S_NHKV);
    scan.d_initial_M = problem.write_state(out.initial_M_NHKV);
    scan.d_log_alpha = data(out.log_alpha);
    scan.d_log_mu = data(out.log_mu);
    scan.d_beta = data(out.beta_BTH);
    scan.d_eta = data(out.eta_BTH);

    problem.prepare();
    scan.states = problem.buffer(state_bytes);
    scan.d_states = problem.buffer(state_bytes);
    if (scan.has_delta) scan.residuals = problem.buffer(V / kPanel * kPanelBytes);
    problem.scan_both_ways();
    if (scan.has_channel_decay) {
      scan.channel_products = problem.buffer(cuda::channel_product_bytes(scan.key_width));
    } else {
      scan.terms = static_cast<cuda::GateTerms*>(
          problem.buffer(sizeof(cuda::GateTerms) * cuda::adjoint_parts(scan.key_width)));
      scan.partial = problem.floats(partial_elements(scan));
    }
    check_cuda(launch_adjoints(scan, problem.stream()), "scan: the adjoints of q and k");
    if (!scan.has_channel_decay)
      check_cuda(launch_gate_adjoints(scan, problem.stream()), "scan: the gates' adjoints");
  }
  return out;
}

}  // namespace mdnlab::scan
