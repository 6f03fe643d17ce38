#include "scan/cuda/bind_chunk.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "scan/cuda/bind_segments.h"
#include "scan/cuda/bound_scan.h"
#include "scan/cuda/device.h"
#include "scan/cuda/streams.h"
#include "scan/cuda/tensor_map.h"

namespace mdnlab::scan {

namespace {

constexpr std::int64_t kMostBlocks = 65535;  // along a grid's second and third dimension

std::string refusal_of_size(const char* name, std::int64_t found, const char* takes) {
  return std::string(name) + " is " + std::to_string(found) + ", and it takes " + takes;
}

at::Tensor empty_state(const Inputs& in) {
  return at::empty({document_count(in), in.v_BTHV.size(2), in.q_BTGK.size(3), in.v_BTHV.size(3)},
                   in.v_BTHV.options().dtype(at::kFloat));
}

// The states of every chunk and their adjoints are by far the most that the backward pass holds. Documents go
// in groups that keep them within bounds, as long as a group has enough of them to fill the card. Where only
// the GPU knows where they lie, a group has whole rows.
std::int64_t documents_at_once(const Inputs& in) {
  constexpr std::int64_t bound = std::int64_t{640} << 20, fewest_units = 96;
  const std::int64_t N = document_count(in), H = in.v_BTHV.size(2), V = in.v_BTHV.size(3);
  const std::int64_t chunks = in.q_BTGK.size(0) * in.q_BTGK.size(1) / cuda::kChunk + N;
  const std::int64_t state_bytes =
      in.q_BTGK.element_size() * in.q_BTGK.size(3) * V * (in.log_mu.defined() ? 2 : 1);
  const int key_width = static_cast<int>(in.q_BTGK.size(3));
  const std::int64_t channel_bytes = has_channel_decay(in) ? cuda::channel_product_bytes(key_width) : 0;
  const std::int64_t bytes = chunks * H * (2 * state_bytes + channel_bytes);
  std::int64_t groups = 1;
  while (bytes / groups > bound && N / (2 * groups) * H * (V / kPanel) >= fewest_units) groups *= 2;
  const std::int64_t whole = std::max<std::int64_t>(1, documents_of_row(in));
  return ((N + groups - 1) / groups + whole - 1) / whole * whole;
}

// The outputs, with the final states in `out` where these are defined.
void run_outputs(BoundScan& bound, const Cut& cut, const Inputs& in, const Outputs& out) {
  if (cut.segments > 1) {
    BoundSegments segments(bound);
    const at::Tensor initial = bound.states(in.initial_S_NHKV, in.initial_M_NHKV);
    const at::Tensor final = split_outputs(segments, initial, cut.segments);
    return bound.copy_states(final, out.final_S_NHKV, out.final_M_NHKV);
  }
  bound.scan().final_S = bound.write_state(out.final_S_NHKV);
  bound.scan().final_M = bound.write_state(out.final_M_NHKV);
  check_cuda(launch_outputs(bound.scan(), c10::cuda::getCurrentCUDAStream()), "scan: the forward pass");
}

// The states of every chunk and their adjoints, with those of the initial states in `out` where these are
// defined.
void run_both_ways(BoundScan& bound, const Cut& cut, const Inputs& in, const Outputs& adjoints,
                   const Inputs& out) {
  if (cut.segments > 1) {
    BoundSegments segments(bound);
    const at::Tensor initial = bound.states(in.initial_S_NHKV, in.initial_M_NHKV);
    const at::Tensor d_final = bound.states(adjoints.final_S_NHKV, adjoints.final_M_NHKV);
    const at::Tensor d_initial = split_adjoints(segments, initial, d_final, cut.segments);
    return bound.copy_states(d_initial, out.initial_S_NHKV, out.initial_M_NHKV);
  }
  cuda::ChunkScan& scan = bound.scan();
  scan.d_final_S = bound.read_state(adjoints.final_S_NHKV);
  scan.d_final_M = bound.read_state(adjoints.final_M_NHKV);
  scan.d_initial_S = bound.write_state(out.initial_S_NHKV);
  scan.d_initial_M = bound.write_state(out.initial_M_NHKV);
  const auto stream = [] { return c10::cuda::getCurrentCUDAStream().stream(); };
  // Neither scan needs the other's results, nor fills the card.
  side_by_side(
      {[&] { check_cuda(launch_reverse(scan, stream()), "scan: the reverse scan"); },
       [&] { check_cuda(launch_states(scan, stream()), "scan: the states for the backward pass"); }});
}

}  // namespace

std::string refusal_of_hopper(const Inputs& in) {
  const std::int64_t tokens = in.q_BTGK.size(0) * in.q_BTGK.size(1), H = in.v_BTHV.size(2),
                     N = document_count(in);
  if (in.p_BTHK.defined()) return "p is given, and it takes p = αk";
  if (has_channel_decay(in) && in.log_mu.defined() && !in.mu_shares_alpha)
    return "log_mu is given by itself, and with channel-wise decay it takes μ = ν∘α";
  if (tokens == 0) return "there are no tokens";
  if (tokens > std::numeric_limits<int>::max()) return refusal_of_size("B·T", tokens, "less than 2^31");
  if (H > kMostBlocks) return refusal_of_size("H", H, "up to 65535");
  if (N > kMostBlocks) return refusal_of_size("the number of documents", N, "up to 65535");
  return {};
}

namespace {

// Without momentum only βη counts, and the kernels of channel-wise decay know β alone.
bool has_two_rates(const Inputs& in) {
  return has_channel_decay(in) && !in.log_mu.defined() && in.eta_BTH.defined();
}

Inputs with_one_rate(const Inputs& in) {
  if (!has_two_rates(in)) return in;
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

Outputs forward_hopper(const Inputs& given, const Options& options, Saved* saved) {
  const Inputs in = with_one_rate(given);
  const c10::cuda::CUDAGuard guard(in.q_BTGK.device());
  BoundScan bound(in, 0, document_count(in));
  const Cut cut = options.segments > 0 ? cut_into(options.segments, bound.load())
                                       : cut_for_outputs(bound.load(), bound.multiprocessors());
  bound.lay_out(cut);
  Outputs out;
  out.o_BTHV = at::empty(in.v_BTHV.sizes(), in.v_BTHV.options());
  if (options.want_state) {
    out.final_S_NHKV = empty_state(in);
    if (in.log_mu.defined()) out.final_M_NHKV = empty_state(in);
  }
  bound.scan().o = out.o_BTHV.mutable_data_ptr();
  Saved prepared = bound.prepare(saved != nullptr);
  if (saved) *saved = std::move(prepared);
  run_outputs(bound, cut, in, out);
  return out;
}

Inputs backward_hopper(const Inputs& in, const Options& options, const Saved& saved, const Outputs& adjoints,
                       const std::array<bool, kTensors>& wanted) {
  if (has_two_rates(in)) return backward_with_eta(in, options, saved, adjoints, wanted);
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
    BoundScan bound(in, first, std::min(first + at_once, N));
    const Cut cut = options.segments > 0 ? cut_into(options.segments, bound.load())
                                         : cut_for_adjoints(bound.load(), bound.multiprocessors());
    bound.lay_out(cut);
    cuda::ChunkScan& scan = bound.scan();
    const std::int64_t state_bytes = V * K * in.q_BTGK.element_size() * (scan.has_momentum ? 2 : 1);
    scan.d_o = tensor_map(d_o);
    scan.d_r = tensor_map(d_v);
    scan.d_q = d_q.mutable_data_ptr();
    scan.d_k = d_k.mutable_data_ptr();
    scan.d_v = d_v.mutable_data_ptr();
    scan.d_log_alpha = data(out.log_alpha);
    scan.d_log_mu = data(out.log_mu);
    scan.d_beta = data(out.beta_BTH);
    scan.d_eta = data(out.eta_BTH);

    const bool has_terms = !scan.has_channel_decay || scan.has_momentum;
    if (saved.empty()) {
      bound.prepare(true);
    } else {
      bound.take_prepared(saved);
    }
    scan.states = bound.buffer(state_bytes);
    scan.d_states = bound.buffer(state_bytes);
    if (scan.has_delta || scan.has_channel_decay) scan.residuals = bound.buffer(V / kPanel * kPanelBytes);
    run_both_ways(bound, cut, in, adjoints, out);
    if (scan.has_channel_decay) {
      scan.channel_products = bound.buffer(cuda::channel_product_bytes(scan.key_width));
    } else {
      scan.partial = bound.floats(partial_elements(scan));
    }
    if (has_terms) {
      scan.terms = static_cast<cuda::GateTerms*>(
          bound.buffer(sizeof(cuda::GateTerms) * cuda::adjoint_parts(scan.key_width)));
    }
    check_cuda(launch_adjoints(scan, c10::cuda::getCurrentCUDAStream()), "scan: the adjoints of q and k");
    if (has_terms)
      check_cuda(launch_gate_adjoints(scan, c10::cuda::getCurrentCUDAStream()), "scan: the gates' adjoints");
  }
  return out;
}

}  // namespace mdnlab::scan
