#include "scan/batched/batched.h"

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include "scan/batched/walk.h"
#include "scan/prepared.h"
#include "scan/reference.h"

namespace mdnlab::scan {

namespace {

using namespace batched;

// [S; M] of every document and head, in the order of the walk; what is undefined is 0.
at::Tensor stacked(const Inputs& in, const Packing& packing, const at::Tensor& S_NHKV,
                   const at::Tensor& M_NHKV) {
  const std::int64_t N = static_cast<std::int64_t>(document_starts(in).size()) - 1, K = in.q_BTGK.size(3);
  const auto half = [&](const at::Tensor& state) {
    return state.defined() ? state
                           : at::zeros({N, in.v_BTHV.size(2), K, in.v_BTHV.size(3)},
                                       in.v_BTHV.options().dtype(compute_dtype(in)));
  };
  if (!in.log_mu.defined()) return packing.pack_state(half(S_NHKV));
  return packing.pack_state(at::cat({half(S_NHKV), half(M_NHKV)}, 2));
}

}  // namespace

Outputs forward_batched(const Inputs& in, const Options& options, Saved* saved) {
  const at::NoTF32Guard exact_products;
  const Packing packing(in, options);
  const ChunkTokens tokens = chunk_tokens(in, packing);
  const Walk done = walk(operands_of(tokens, in.has_delta), packing.steps(), tokens.v,
                         stacked(in, packing, in.initial_S_NHKV, in.initial_M_NHKV), saved != nullptr);
  if (saved) *saved = {done.states, in.has_delta ? done.w_ECV : at::Tensor()};
  Outputs out{.o_BTHV = packing.unpack(done.o_ECV).to(in.v_BTHV.scalar_type())};
  if (options.want_state) {
    const std::int64_t K = in.q_BTGK.size(3);
    const at::Tensor X = packing.unpack_state(done.last_state);
    out.final_S_NHKV = X.narrow(2, 0, K).contiguous();
    if (in.log_mu.defined()) out.final_M_NHKV = X.narrow(2, K, K).contiguous();
  }
  return out;
}

Inputs backward_batched(const Inputs& in, const Options& options, const Saved& saved, const Outputs& adjoints,
                        const std::array<bool, kTensors>& wanted) {
  const at::NoTF32Guard exact_products;
  const Packing packing(in, options);
  const ChunkTokens tokens = chunk_tokens(in, packing);
  const at::Tensor d_o =
      adjoints.o_BTHV.defined()
          ? packing.pack(adjoints.o_BTHV).to(tokens.v.scalar_type()).masked_fill_(packing.is_pad(), 0)
          : at::zeros(tokens.v.sizes(), tokens.v.options());
  const WalkAdjoint d =
      adjoint_of_walk(operands_of(tokens, in.has_delta), packing.steps(), in.has_delta ? saved[1] : tokens.v,
                      saved[0], d_o, stacked(in, packing, adjoints.final_S_NHKV, adjoints.final_M_NHKV));
  ChunkTokens d_tokens = adjoint_of_operands(d.operands, tokens);
  d_tokens.v = d.v_ECV;
  Inputs out = adjoint_of_chunk_tokens(in, packing, tokens, std::move(d_tokens), wanted);
  const at::Tensor d_X = packing.unpack_state(d.first_state);
  const std::int64_t K = in.q_BTGK.size(3);
  if (wanted[kTensors - 2] && in.initial_S_NHKV.defined())
    out.initial_S_NHKV = d_X.narrow(2, 0, K).contiguous();
  if (wanted[kTensors - 1] && in.initial_M_NHKV.defined())
    out.initial_M_NHKV = d_X.narrow(2, K, K).contiguous();
  return out;
}

Outputs step_batched(const Inputs& inputs) {
  const at::NoTF32Guard exact_products;
  return loop(inputs);
}

}  // namespace mdnlab::scan
