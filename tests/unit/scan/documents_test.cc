// Packed documents: each as if it were alone.
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include "cases.h"
#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

// Two rows of 100 tokens; empty documents at a row's start, inside and at the very end; lengths around a
// chunk.
const std::vector<int> kStarts = {0, 0, 31, 63, 64, 64, 100, 133, 133, 200, 200};
constexpr std::int64_t kDocuments = 10;

Settings packed(const Rule& rule, bool initial_state) {
  return {.shape = {.B = 2, .T = 100, .H = 2, .G = 1, .K = 8, .V = 8},
          .rule = rule,
          .initial_state = initial_state,
          .documents = kDocuments};
}

at::Tensor starts() { return at::tensor(kStarts, at::TensorOptions().dtype(at::kInt)); }

// Each document scanned by itself, joined again.
Outputs separately(const Inputs& inputs) {
  std::vector<at::Tensor> o, S, M;
  for (std::int64_t n = 0; n < kDocuments; ++n) {
    Inputs alone = inputs;
    alone.cu_seqlens = at::Tensor();
    for (at::Tensor* tensor : tensors(alone)) {
      if (!tensor->defined()) continue;
      const bool is_state = tensor == &alone.initial_S_NHKV || tensor == &alone.initial_M_NHKV;
      *tensor = is_state ? tensor->slice(0, n, n + 1)
                         : tensor->flatten(0, 1).slice(0, kStarts[n], kStarts[n + 1]).unsqueeze(0);
    }
    const Outputs out = chunk(alone, {.want_state = true});
    o.push_back(out.o_BTHV);
    S.push_back(out.final_S_NHKV);
    if (out.final_M_NHKV.defined()) M.push_back(out.final_M_NHKV);
  }
  return {at::cat(o, 1).view(inputs.v_BTHV.sizes()), at::cat(S), M.empty() ? at::Tensor() : at::cat(M)};
}

TEST(PackedDocuments, EqualSeparateOnesWithAndWithoutStates) {
  for (const Rule& rule : kRules) {
    for (const bool initial_state : {false, true}) {
      SCOPED_TRACE(name(rule) + (initial_state ? " with states" : " without states"));
      Inputs inputs = make_inputs(packed(rule, initial_state));
      inputs.cu_seqlens = starts();
      const Outputs out = chunk(inputs, {.want_state = true});
      expect_agree(inputs, out, separately(inputs), 1e-14);
      expect_agree(inputs, out, reference(inputs), 1e-12);
    }
  }
}

TEST(PackedDocuments, OfNoTokensKeepTheirState) {
  Inputs inputs = make_inputs(packed({.delta = true, .momentum = true}, true));
  inputs.cu_seqlens = starts();
  const Outputs out = chunk(inputs, {.want_state = true});
  for (const std::int64_t empty : {0, 4, 7, 9}) {
    expect_equal("S", out.final_S_NHKV[empty], inputs.initial_S_NHKV[empty]);
    expect_equal("M", out.final_M_NHKV[empty], inputs.initial_M_NHKV[empty]);
  }
}

TEST(PackedDocuments, OneARowIsTheSameAsNone) {
  Inputs inputs = make_inputs({.shape = {.B = 2, .T = 100}, .rule = {.delta = true, .momentum = true}});
  const Outputs rows = chunk(inputs, {.want_state = true});
  inputs.cu_seqlens = at::tensor(std::vector<int>{0, 100, 200}, at::TensorOptions().dtype(at::kInt));
  const Outputs documents = chunk(inputs, {.want_state = true});
  expect_equal("o", documents.o_BTHV, rows.o_BTHV);
  expect_equal("S", documents.final_S_NHKV, rows.final_S_NHKV);
}

TEST(PackedDocuments, DoNotTouchEachOther) {
  Inputs inputs = make_inputs(packed({.delta = true, .momentum = true}, false));
  inputs.cu_seqlens = starts();
  const at::Tensor before = chunk(inputs).o_BTHV;
  Inputs poisoned = inputs;
  at::Tensor v = inputs.v_BTHV.detach().clone();
  v.flatten(0, 1).slice(0, 31, 63).fill_(0).div_(0);
  poisoned.v_BTHV = v;
  const at::Tensor after = chunk(poisoned).o_BTHV;
  expect_equal("o before", after.flatten(0, 1).slice(0, 0, 31), before.flatten(0, 1).slice(0, 0, 31));
  expect_equal("o after", after.flatten(0, 1).slice(0, 63), before.flatten(0, 1).slice(0, 63));
  EXPECT_TRUE(after.flatten(0, 1).slice(0, 31, 63).isnan().all().item<bool>());
}

}  // namespace

}  // namespace mdnlab::scan
