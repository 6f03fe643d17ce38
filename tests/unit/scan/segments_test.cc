// The algebra of segments.h, by the scan of the CPU: documents in segments, each by itself, give what they
// give in one piece.
#include "scan/cuda/segments.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>

#include "cases.h"
#include "scan/cuda/cut.h"
#include "scan/inputs.h"

namespace mdnlab::scan {

namespace {

constexpr std::int64_t kChunk = 64;
// Longer and shorter than a segment, empty, with and without a last chunk that is short.
const std::vector<std::int64_t> kStarts = {0, 700, 764, 764, 894, 959};
constexpr std::int64_t kDocuments = 5, kTokens = 959;

bool is_state(const Inputs& in, const at::Tensor* tensor) {
  return tensor == &in.initial_S_NHKV || tensor == &in.initial_M_NHKV;
}

struct Adjoints {
  at::Tensor o_BTHV, S_NHKV, M_NHKV;
};

class SegmentsOnCpu final : public SegmentScan {
 public:
  SegmentsOnCpu(const Inputs& inputs, const Cut& cut, const Adjoints& adjoints)
      : in_(inputs), cut_(cut), adjoints_(adjoints), o(at::empty_like(inputs.v_BTHV)) {
    for (const at::Tensor* tensor : tensors(in_))
      gradient.push_back(tensor->defined() ? at::zeros_like(*tensor) : at::Tensor());
  }

  bool has_delta() const override { return in_.has_delta; }

  void outputs(Segments segments, const at::Tensor& states) override {
    each(segments, [&](const Piece& piece, std::int64_t s, std::int64_t n) {
      const Outputs out = run(piece, states.select(1, s).narrow(1, n, 1));
      o.slice(1, piece.begin, piece.end).copy_(out.o_BTHV);
      put(out, states.select(1, s).narrow(1, n, 1));
    });
  }
  void ends(Segments segments, const at::Tensor& states) override {
    each(segments, [&](const Piece& piece, std::int64_t s, std::int64_t n) {
      const at::Tensor state = states.select(1, s).narrow(1, n, 1);
      put(run(piece, state), state);
    });
  }
  void states(Segments segments, const at::Tensor& states) override {
    each(segments, [&](const Piece& piece, std::int64_t s, std::int64_t n) {
      start_[piece.place] = states.select(1, s).narrow(1, n, 1).clone();
    });
    ends(segments, states);
  }
  void reverse(Segments segments, const at::Tensor& d_states) override {
    each(segments, [&](const Piece& piece, std::int64_t s, std::int64_t n) {
      const at::Tensor d_state = d_states.select(1, s).narrow(1, n, 1);
      d_end_[piece.place] = d_state.clone();
      const at::Tensor start = at::zeros_like(d_state).requires_grad_();
      d_state.copy_(back(piece, run(piece, start), d_state.clone(), {start})[0]);
    });
  }
  void side_by_side(const std::vector<std::function<void()>>& work) override {
    for (const auto& one : work) one();
  }

  // Of the inputs of every segment, from its states and adjoints.
  void add_gradients() {
    each({0, cut_.segments}, [&](const Piece& piece, std::int64_t, std::int64_t) {
      if (piece.begin == piece.end) return;
      std::vector<at::Tensor> variables;
      std::vector<std::size_t> places;
      const Inputs own = inputs_of(piece);
      const auto all = tensors(own);
      for (std::size_t i = 0; i < kTensors; ++i) {
        if (!all[i]->defined() || is_state(own, all[i])) continue;
        places.push_back(i);
        variables.push_back(all[i]->detach().requires_grad_());
      }
      Inputs leaves = own;
      for (std::size_t i = 0; i < places.size(); ++i) *tensors(leaves)[places[i]] = variables[i];
      const auto found =
          back(piece, run_inputs(leaves, start_.at(piece.place)), d_end_.at(piece.place), variables);
      for (std::size_t i = 0; i < places.size(); ++i)
        gradient[places[i]].slice(1, piece.begin, piece.end).add_(found[i]);
    });
  }

 private:
  struct Piece {
    std::int64_t begin, end;
    std::pair<std::int64_t, std::int64_t> place;  // segment, document
  };

  template <class Run>
  void each(Segments segments, Run&& run) const {
    const at::NoGradGuard no_grad;
    for (std::int64_t s = segments.first; s < segments.last; ++s) {
      for (std::int64_t n = 0; n < kDocuments; ++n) {
        const std::int64_t end = kStarts[n + 1], begin = kStarts[n] + cut_.begin(s) * kChunk;
        const std::int64_t most = (s == 0 ? cut_.first : cut_.length) * kChunk;
        run(Piece{std::min(end, begin), std::min(end, begin + most), {s, n}}, s - segments.first, n);
      }
    }
  }

  Inputs inputs_of(const Piece& piece) const {
    Inputs own = in_;
    own.cu_seqlens = at::Tensor();
    for (at::Tensor* tensor : tensors(own)) {
      if (tensor->defined() && !is_state(own, tensor))
        *tensor = tensor->detach().slice(1, piece.begin, piece.end);
    }
    return own;
  }
  // From `state`, [Z,1,H,K,W]; values are 0 in columns that v has not.
  static Outputs run_inputs(Inputs own, const at::Tensor& state) {
    const at::AutoGradMode grad(true);
    own.v_BTHV = at::constant_pad_nd(own.v_BTHV, {0, state.size(4) - own.v_BTHV.size(3)});
    own.initial_S_NHKV = state.select(0, 0);
    own.initial_M_NHKV = own.log_mu.defined() ? state.select(0, 1) : at::Tensor();
    return chunk(own, {.want_state = true});
  }
  Outputs run(const Piece& piece, const at::Tensor& state) const {
    return run_inputs(inputs_of(piece), state);
  }
  static void put(const Outputs& out, const at::Tensor& state) {
    state.select(0, 0).copy_(out.final_S_NHKV);
    if (out.final_M_NHKV.defined()) state.select(0, 1).copy_(out.final_M_NHKV);
  }
  std::vector<at::Tensor> back(const Piece& piece, const Outputs& out, const at::Tensor& d_state,
                               const std::vector<at::Tensor>& variables) const {
    std::vector<at::Tensor> results{out.o_BTHV, out.final_S_NHKV},
        adjoints{adjoints_.o_BTHV.slice(1, piece.begin, piece.end), d_state.select(0, 0)};
    if (out.final_M_NHKV.defined()) {
      results.push_back(out.final_M_NHKV);
      adjoints.push_back(d_state.select(0, 1));
    }
    return torch::autograd::grad(results, variables, adjoints);
  }

  Inputs in_;
  Cut cut_;
  Adjoints adjoints_;
  std::map<std::pair<std::int64_t, std::int64_t>, at::Tensor> start_, d_end_;  // of a segment and document

 public:
  at::Tensor o;
  std::vector<at::Tensor> gradient;  // in the order of tensors()
};

at::Tensor stacked(const at::Tensor& S, const at::Tensor& M) {
  return M.defined() ? at::stack({S, M}).detach() : S.detach().unsqueeze(0);
}

void expect_split_is_whole(const Inputs& in, const Cut& cut) {
  const Outputs whole = chunk(in, {.want_state = true});
  const Adjoints adjoints{
      normal(whole.o_BTHV.sizes(), 1001), normal(whole.final_S_NHKV.sizes(), 1002),
      whole.final_M_NHKV.defined() ? normal(whole.final_M_NHKV.sizes(), 1003) : at::Tensor()};
  SegmentsOnCpu scan(in, cut, adjoints);
  const at::Tensor initial = stacked(in.initial_S_NHKV, in.initial_M_NHKV);

  const at::Tensor final = split_outputs(scan, initial, cut.segments);
  expect_close("o", scan.o, whole.o_BTHV, 1e-12);
  expect_close("S", final.select(0, 0), whole.final_S_NHKV, 1e-12);
  if (whole.final_M_NHKV.defined()) expect_close("M", final.select(0, 1), whole.final_M_NHKV, 1e-12);

  const at::Tensor d_final = stacked(adjoints.S_NHKV, adjoints.M_NHKV);
  const at::Tensor d_initial = split_adjoints(scan, initial, d_final, cut.segments);
  scan.add_gradients();
  scan.gradient[8] = d_initial.select(0, 0);
  if (in.initial_M_NHKV.defined()) scan.gradient[9] = d_initial.select(0, 1);
  std::vector<at::Tensor> found;
  for (const at::Tensor& gradient : scan.gradient) {
    if (gradient.defined()) found.push_back(gradient);
  }
  const std::vector<Named> expected = gradients(in, whole);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    expect_close("gradient of " + expected[i].name, found[i], expected[i].tensor, 1e-11);
}

TEST(ScanSegments, GiveWhatTheWholeGives) {
  for (const Rule& rule : kRules) {
    if (rule.channel_decay && !rule.delta) continue;  // without delta a segment has one decay for all keys
    const Load load{.chunks = chunk_counts(kStarts)};
    for (const Cut& cut : {Cut{.segments = 2, .first = 8, .length = 3}, cut_into(2, load), cut_into(3, load),
                           cut_into(4, load), cut_into(11, load)}) {
      SCOPED_TRACE(name(rule) + ", segments " + std::to_string(cut.segments));
      Inputs in = make_inputs({.shape = {.B = 1, .T = kTokens, .H = 2, .G = 1, .K = 8, .V = 5},
                               .rule = rule,
                               .log_alpha = -1e-3,
                               .log_mu = -0.05,
                               .largest_beta = 0.1,
                               .documents = kDocuments});
      std::vector<int> starts(kStarts.begin(), kStarts.end());
      in.cu_seqlens = at::tensor(starts, at::TensorOptions().dtype(at::kInt));
      expect_split_is_whole(in, cut);
    }
  }
}

}  // namespace

}  // namespace mdnlab::scan
