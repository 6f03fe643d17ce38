#include "check/decode.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <array>
#include <vector>

#include "scan/inputs.h"

namespace mdnlab {

namespace {

std::array<at::Tensor*, 8> token_tensors(scan::Inputs& in) {
  return {&in.q_BTGK, &in.k_BTGK,   &in.v_BTHV,  &in.log_alpha,
          &in.log_mu, &in.beta_BTH, &in.eta_BTH, &in.p_BTHK};
}

// Tokens [begin, end) of axis 1 of every tensor that has tokens, going on from `state`.
scan::Inputs part(const scan::Inputs& whole, std::int64_t begin, std::int64_t end,
                  const scan::Outputs& state) {
  scan::Inputs in = whole;
  in.cu_seqlens.reset();
  for (at::Tensor* tensor : token_tensors(in)) {
    if (tensor->defined()) *tensor = tensor->slice(1, begin, end).contiguous();
  }
  in.initial_S_NHKV = state.final_S_NHKV;
  in.initial_M_NHKV = state.final_M_NHKV;
  return in;
}

// One document a row, a token at a time.
scan::Outputs decode_rows(const scan::Inputs& in, std::string_view implementation) {
  std::vector<at::Tensor> o{in.v_BTHV.slice(1, 0, 0)};
  scan::Outputs state{.o_BTHV = {}, .final_S_NHKV = in.initial_S_NHKV, .final_M_NHKV = in.initial_M_NHKV};
  for (std::int64_t t = 0; t < in.v_BTHV.size(1); ++t) {
    state = scan::step(part(in, t, t + 1, state), implementation);
    o.push_back(state.o_BTHV);
  }
  state.o_BTHV = at::cat(o, 1);
  return state;
}

}  // namespace

scan::Outputs decode(const scan::Inputs& in, std::string_view implementation) {
  const c10::AutoGradMode no_grad(false);
  scan::Inputs whole = in;
  const std::int64_t B = in.v_BTHV.size(0), H = in.v_BTHV.size(2), K = in.q_BTGK.size(3),
                     V = in.v_BTHV.size(3);
  const std::vector<std::int64_t> starts = scan::document_starts(in);
  const auto documents = static_cast<std::int64_t>(starts.size()) - 1;
  const auto states =
      in.v_BTHV.options().dtype(in.v_BTHV.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  if (!whole.initial_S_NHKV.defined()) whole.initial_S_NHKV = at::zeros({documents, H, K, V}, states);
  if (whole.log_mu.defined() && !whole.initial_M_NHKV.defined())
    whole.initial_M_NHKV = at::zeros({documents, H, K, V}, states);
  if (!in.cu_seqlens.defined()) return decode_rows(whole, implementation);

  for (at::Tensor* tensor : token_tensors(whole)) {
    if (tensor->defined()) *tensor = tensor->flatten(0, 1).unsqueeze(0);
  }
  std::vector<at::Tensor> o{whole.v_BTHV.slice(1, 0, 0)}, final_S{whole.initial_S_NHKV.slice(0, 0, 0)},
      final_M;
  if (whole.log_mu.defined()) final_M.push_back(whole.initial_M_NHKV.slice(0, 0, 0));
  for (std::int64_t n = 0; n < documents; ++n) {
    scan::Outputs start{.o_BTHV = {}, .final_S_NHKV = whole.initial_S_NHKV.slice(0, n, n + 1)};
    if (whole.log_mu.defined()) start.final_M_NHKV = whole.initial_M_NHKV.slice(0, n, n + 1);
    const scan::Outputs end = decode_rows(part(whole, starts[n], starts[n + 1], start), implementation);
    o.push_back(end.o_BTHV);
    final_S.push_back(end.final_S_NHKV);
    if (end.final_M_NHKV.defined()) final_M.push_back(end.final_M_NHKV);
  }
  return {.o_BTHV = at::cat(o, 1).view({B, -1, H, V}),
          .final_S_NHKV = at::cat(final_S),
          .final_M_NHKV = final_M.empty() ? at::Tensor() : at::cat(final_M)};
}

}  // namespace mdnlab
