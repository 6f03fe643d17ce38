// The gates' gradients are sums over exactly the pairs of tokens that straddle a gate, each a product with
// it: what the levels of passages hand down.
#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>

#include "scan/batched/blocks.h"
#include "scan/batched/operands.h"
#include "scan/batched/pairs.h"
#include "scan/batched/read_write.h"

namespace mdnlab::scan::batched {

namespace {

// Readers and writers of one level, or of the whole chunk, and the adjoints that gather theirs; views.
struct Meeting {
  double look_ahead;
  Passage passage, d_passage;  // log_a, log_m, b of the readers, G and log_R of the writers
  at::Tensor q, p, written_key, d_q, d_p, d_written_key;

  at::Tensor readers() const { return reader(q, passage.log_a, b_ahead(passage, look_ahead)); }
  at::Tensor erasers() const {
    const Passage erase = before(passage);
    return reader(p, erase.log_a, erase.b);
  }
  at::Tensor writers() const { return writer(written_key, passage.G, passage.log_R); }

  void add_adjoint_of_readers(const at::Tensor& adjoint) const {
    const ReaderAdjoint d = adjoint_of_reader(adjoint, q, passage.log_a, b_ahead(passage, look_ahead));
    d_q.add_(d.x);
    d_passage.log_a.add_(d.log_a);
    if (!passage.has_momentum()) return;
    d_passage.b.add_(d.b);
    if (look_ahead != 0) d_passage.log_m.add_(d.b * passage.log_m.exp(), look_ahead);
  }
  void add_adjoint_of_erasers(const at::Tensor& adjoint) const {
    const Passage erase = before(passage);
    const ReaderAdjoint d = adjoint_of_reader(adjoint, p, erase.log_a, erase.b);
    d_p.add_(d.x);
    d_passage.log_a.add_(adjoint_of_row_before(d.log_a));
    if (passage.has_momentum()) d_passage.b.add_(adjoint_of_row_before(d.b));
  }
  void add_adjoint_of_writers(const at::Tensor& adjoint) const {
    const WriterAdjoint d = adjoint_of_writer(adjoint, written_key, passage.G, passage.log_R);
    d_written_key.add_(d.written_key);
    d_passage.G.add_(d.G);
    if (passage.has_momentum()) d_passage.log_R.add_(d.log_R);
  }
};

Meeting between_blocks(const Meeting& whole, std::int64_t size) {
  const bool has_delta = whole.p.defined();
  return {.look_ahead = whole.look_ahead,
          .passage = between_blocks(whole.passage, size),
          .d_passage = between_blocks(whole.d_passage, size),
          .q = halves(whole.q, size).second,
          .p = has_delta ? halves(whole.p, size).second : at::Tensor(),
          .written_key = halves(whole.written_key, size).first,
          .d_q = halves(whole.d_q, size).second,
          .d_p = has_delta ? halves(whole.d_p, size).second : at::Tensor(),
          .d_written_key = halves(whole.d_written_key, size).first};
}

Passage zeros_like(const Passage& x) {
  Passage y{.log_a = at::zeros_like(x.log_a), .G = at::zeros_like(x.log_a)};
  if (x.has_momentum())
    y.log_m = at::zeros_like(x.b), y.b = at::zeros_like(x.b), y.log_R = at::zeros_like(x.b);
  return y;
}

// Through Q, D, Ψ and Φ.
void add_adjoint_of_chunk(const Operands& d, const Meeting& chunk) {
  chunk.add_adjoint_of_readers(d.Q);
  if (d.D.defined()) chunk.add_adjoint_of_erasers(d.D);
  chunk.add_adjoint_of_writers(d.Psi);
  const auto through_gate = [&](int part, const at::Tensor& log_gate, const at::Tensor& d_log_gate) {
    const at::Tensor last = last_row(log_gate);
    last_row(d_log_gate).add_(over_channels(d.phi.select(1, part).squeeze(-1), last) * last.exp());
  };
  through_gate(0, chunk.passage.log_a, chunk.d_passage.log_a);
  if (!chunk.passage.has_momentum()) return;
  through_gate(1, chunk.passage.log_m, chunk.d_passage.log_m);
  last_row(chunk.d_passage.b).add_(over_channels(d.b.squeeze(-1), last_row(chunk.passage.b)));
}

// Through the blocks of A and L.
void add_adjoint_of_blocks(const at::Tensor& d_L, const at::Tensor& d_A, const Meeting& level,
                           std::int64_t size) {
  const Meeting here = between_blocks(level, size);
  const at::Tensor d_reads = meeting_block(d_L, size), writers = here.writers();
  here.add_adjoint_of_readers(at::matmul(d_reads, writers));
  at::Tensor d_writers = at::matmul(d_reads.mT(), here.readers());
  if (d_A.defined()) {
    const at::Tensor d_erases = meeting_block(d_A, size);
    here.add_adjoint_of_erasers(at::matmul(d_erases, writers));
    d_writers += at::matmul(d_erases.mT(), here.erasers());
  }
  here.add_adjoint_of_writers(d_writers);
}

// Scalar gates: through the products of keys, then what is left is a matter of unit keys.
void add_adjoint_of_scores(const ChunkTokens& x, const std::vector<Passage>& levels, Meeting& level,
                           at::Tensor& d_L, at::Tensor& d_A) {
  const Keys unit = unit_keys(x);
  const at::Tensor L = at::zeros_like(d_L), A = d_A.defined() ? at::zeros_like(d_A) : at::Tensor();
  fill_pairs(unit, x, levels, L, A);
  const auto through = [&](const at::Tensor& coefficients, const at::Tensor& key, const at::Tensor& d_key,
                           at::Tensor& d) {
    const at::Tensor d_scores = d * coefficients;
    d_key.baddbmm_(d_scores, level.written_key);
    level.d_written_key.baddbmm_(d_scores.mT(), key);
    d = d * at::bmm(key, level.written_key.mT());
  };
  through(L, level.q, level.d_q, d_L);
  if (d_A.defined()) through(A, level.p, level.d_p, d_A);
  level.q = level.written_key = unit.q;
  level.p = unit.p;
  level.d_q = level.d_p = level.d_written_key = at::zeros_like(unit.q);  // nobody asks for these
}

void fill(const Operands& d, const ChunkTokens& x, const ChunkTokens& out) {
  const std::vector<Passage> levels = passages(x);
  const at::Tensor written_key = x.k * x.eta, d_written_key = at::zeros_like(written_key);
  Meeting level{.look_ahead = x.look_ahead,
                .passage = levels.back(),
                .d_passage = zeros_like(levels.back()),
                .q = x.q,
                .p = x.p,
                .written_key = written_key,
                .d_q = out.q,
                .d_p = out.p,
                .d_written_key = d_written_key};
  add_adjoint_of_chunk(d, level);
  at::Tensor d_L = d.L, d_A = d.A;
  if (x.gate_width() == 1) add_adjoint_of_scores(x, levels, level, d_L, d_A);
  for (std::size_t l = levels.size() - 1; l-- > 0;) {
    const std::int64_t size = std::int64_t{1} << l;
    level.d_passage = adjoint_of_doubled(level.d_passage, levels[l], size);
    level.passage = levels[l];
    add_adjoint_of_blocks(d_L, d_A, level, size);
  }
  // The diagonal of L, (β_t + ω) ⟨q_t, η_t k_t⟩, and the passage of one token.
  const at::Tensor d_own = d_L.diagonal(0, 1, 2).unsqueeze(-1), d_score = d_own * own_write(x);
  level.d_q.add_(d_score * level.written_key);
  level.d_written_key.add_(d_score * level.q);
  out.beta.copy_(d_own * (level.q * level.written_key).sum(-1, true)).add_(level.d_passage.G.sum(-1, true));
  out.log_alpha.copy_(level.d_passage.log_a);
  if (x.has_momentum()) {
    const at::Tensor d_log_mu = level.d_passage.b * x.log_mu.exp();
    out.beta.add_(d_log_mu.sum(-1, true));
    out.log_mu.copy_(d_log_mu * x.beta).add_(level.d_passage.log_m);
  }
  out.k.copy_(d_written_key * x.eta);
  out.eta.copy_((d_written_key * x.k).sum(-1, true));
}

}  // namespace

ChunkTokens adjoint_of_operands(const Operands& d, const ChunkTokens& x) {
  ChunkTokens out{.q = at::zeros_like(x.q),
                  .k = at::empty_like(x.k),
                  .log_alpha = at::empty_like(x.log_alpha),
                  .beta = at::empty_like(x.beta),
                  .eta = at::empty_like(x.eta)};
  if (x.p.defined()) out.p = at::zeros_like(x.p);
  if (x.log_mu.defined()) out.log_mu = at::empty_like(x.log_mu);
  for_parts(x, [&](std::int64_t first, std::int64_t count) {
    fill(d.narrow(first, count), x.narrow(first, count), out.narrow(first, count));
  });
  return out;
}

}  // namespace mdnlab::scan::batched
