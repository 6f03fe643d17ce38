#include "scan/rehearsed_kernels.h"

#include <ATen/ops/empty.h>

#include "scan/batched/batched.h"
#include "scan/cuda/problem.h"
#include "scan/cuda/table.h"
#include "scan/rehearsal.h"

namespace mdnlab::scan {

namespace {

constexpr int kHopper = 90;
constexpr std::int64_t kPanelBytes = 2 * cuda::kPanelElements;

// Of the batch: sizes as in cuda/bound_scan.h, and the bytes that each chunk and head has.
struct Sizes {
  explicit Sizes(const Inputs& in)
      : H(in.v_BTHV.size(2)),
        K(in.q_BTGK.size(3)),
        V(in.v_BTHV.size(3)),
        has_delta(in.has_delta),
        has_momentum(in.log_mu.defined()),
        has_channels(has_channel_decay(in)) {
    const std::vector<std::int64_t> starts = document_starts(in);
    documents = std::ssize(starts) - 1;
    for (std::size_t n = 0; n + 1 < starts.size(); ++n)
      chunks += (starts[n + 1] - starts[n] + cuda::kChunk - 1) / cuda::kChunk;
  }

  bool has_terms() const { return !has_channels || has_momentum; }
  bool has_coefficients() const { return has_terms() || K == cuda::kWideWidth; }
  std::int64_t parts() const { return cuda::adjoint_parts(static_cast<int>(K)); }
  // L, (I + A)⁻¹, three tiles of chunk × K, a row of K: of the operands, and of their adjoints, where each
  // part of the keys has the first two.
  std::int64_t channel_bytes() const { return 2 * kPanelBytes + 3 * 2 * cuda::kChunk * K + 4 * K; }
  std::int64_t product_bytes() const { return channel_bytes() + (parts() - 1) * 2 * kPanelBytes; }
  std::int64_t state_bytes() const { return 2 * K * V * (has_momentum ? 2 : 1); }
  std::int64_t term_bytes() const { return parts() * static_cast<std::int64_t>(sizeof(cuda::GateTerms)); }

  std::int64_t H, K, V, documents = 0, chunks = 0;
  bool has_delta, has_momentum, has_channels;
};

at::Tensor buffer(const Inputs& in, std::int64_t chunks, std::int64_t bytes) {
  return at::empty({chunks, in.v_BTHV.size(2), bytes}, in.q_BTGK.options().dtype(at::kByte));
}

Saved prepare(const Inputs& in, const Sizes& of, std::int64_t chunks, bool for_backward) {
  Saved made;
  const auto place = [&](std::int64_t bytes) { made.push_back(buffer(in, chunks, bytes)); };
  if (of.has_coefficients()) place(sizeof(cuda::Coefficients));
  if (of.has_channels) {
    place(of.channel_bytes());
    if (of.has_momentum && for_backward) place(2 * kPanelBytes);
  } else {
    place(kPanelBytes);
    if (of.has_delta) place(kPanelBytes);
  }
  return made;
}

// Documents go in groups that bound what their states take (cuda/bind_chunk.cc).
std::int64_t chunks_at_once(const Sizes& of) {
  constexpr std::int64_t bound = std::int64_t{640} << 20, fewest_units = 96;
  const std::int64_t bytes =
      of.chunks * of.H * (2 * of.state_bytes() + (of.has_channels ? of.product_bytes() : 0));
  std::int64_t groups = 1;
  while (bytes / groups > bound && of.documents / (2 * groups) * of.H * (of.V / 64) >= fewest_units)
    groups *= 2;
  return (of.chunks + groups - 1) / groups;
}

std::string refusal(const Inputs& in) {
  if (!is_as_on(at::kCUDA, in.q_BTGK)) return "it stands for no GPU";
  if (in.p_BTHK.defined()) return "p is given, and it takes p = αk";
  if (has_channel_decay(in) && in.log_mu.defined() && !in.mu_shares_alpha)
    return "log_mu is given by itself, and with channel-wise decay it takes μ = ν∘α";
  return refusal(query_of(in, kHopper));
}

Outputs forward(const Inputs& in, const Options& options, Saved* saved) {
  const Sizes of(in);
  Outputs out{.o_BTHV = at::empty(in.v_BTHV.sizes(), in.v_BTHV.options())};
  const auto state = [&] {
    return at::empty({of.documents, of.H, of.K, of.V}, in.v_BTHV.options().dtype(at::kFloat));
  };
  if (options.want_state) out.final_S_NHKV = state();
  if (options.want_state && of.has_momentum) out.final_M_NHKV = state();
  Saved prepared = prepare(in, of, of.chunks, saved != nullptr);
  if (saved) *saved = std::move(prepared);
  return out;
}

Inputs backward(const Inputs& in, const Options&, const Saved& saved, const Outputs&,
                const std::array<bool, kTensors>& wanted) {
  Inputs out;
  for (std::size_t i = 0; i < kTensors; ++i) {
    const at::Tensor& given = *tensors(in)[i];
    if (wanted[i] && given.defined()) *tensors(out)[i] = at::empty(given.sizes(), given.options());
  }
  const Sizes of(in);
  const std::int64_t chunks = chunks_at_once(of);
  const Saved prepared = saved.empty() ? prepare(in, of, chunks, true) : saved;
  const at::Tensor states = buffer(in, chunks, of.state_bytes()),
                   d_states = buffer(in, chunks, of.state_bytes());
  at::Tensor residuals, products, terms;
  if (of.has_delta || of.has_channels) residuals = buffer(in, chunks, of.V / 64 * kPanelBytes);
  if (of.has_channels) products = buffer(in, chunks, of.product_bytes());
  if (of.has_terms()) terms = buffer(in, chunks, of.term_bytes());
  return out;
}

}  // namespace

const Implementation rehearsed_hopper{.name = "hopper",
                                      .refusal = refusal,
                                      .forward = forward,
                                      .backward = backward,
                                      .step = step_batched,
                                      .takes_shared_mu = true,
                                      .prepares_again = true};

}  // namespace mdnlab::scan
