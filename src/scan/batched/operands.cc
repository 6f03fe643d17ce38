#include "scan/batched/operands.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "scan/batched/blocks.h"
#include "scan/batched/pairs.h"
#include "scan/batched/read_write.h"

namespace mdnlab::scan::batched {

namespace {

void fill(const ChunkTokens& x, const Operands& out) {
  const std::vector<Passage> levels = passages(x);
  const at::Tensor written_key = x.k * x.eta;
  if (x.gate_width() == 1) {
    fill_pairs(unit_keys(x), x, levels, out.L, out.A);
    out.L.mul_(at::bmm(x.q, written_key.mT()));
    if (out.A.defined()) out.A.mul_(at::bmm(x.p, written_key.mT()));
  } else {
    fill_pairs({x.q, x.p, written_key}, x, levels, out.L, out.A);
  }
  const Passage& chunk = levels.back();
  const at::Tensor poison = last_row(x.poison).unsqueeze(-1);
  out.Q.copy_(reader(x.q, chunk.log_a, b_ahead(chunk, x.look_ahead))).add_(x.poison);
  out.Psi.copy_(writer(written_key, chunk.G, chunk.log_R));
  if (out.D.defined()) {
    const Passage erase = before(chunk);
    out.D.copy_(reader(x.p, erase.log_a, erase.b));
  }
  out.phi.select(1, 0).copy_(last_row(chunk.log_a).exp().unsqueeze(-1)).add_(poison);
  if (x.has_momentum()) {
    out.phi.select(1, 1).copy_(last_row(chunk.log_m).exp().unsqueeze(-1)).add_(poison);
    out.b.copy_(last_row(chunk.b).unsqueeze(-1));
  }
}

}  // namespace

Operands Operands::narrow(std::int64_t first, std::int64_t count) const {
  Operands part = *this;
  for (at::Tensor* tensor : {&part.A, &part.L, &part.D, &part.Q, &part.Psi, &part.phi, &part.b}) {
    if (tensor->defined()) *tensor = tensor->narrow(0, first, count);
  }
  return part;
}

Operands operands_of(const ChunkTokens& tokens, bool has_delta) {
  const std::int64_t E = tokens.q.size(0), C = tokens.q.size(1), K = tokens.q.size(2),
                     W = tokens.gate_width(), parts = tokens.has_momentum() ? 2 : 1;
  const auto dtype = tokens.q.options();
  Operands out{.L = at::zeros({E, C, C}, dtype),
               .Q = at::empty({E, C, parts * K}, dtype),
               .Psi = at::empty({E, C, parts * K}, dtype),
               .phi = at::empty({E, parts, W, 1}, dtype)};
  if (tokens.has_momentum()) out.b = at::empty({E, W, 1}, dtype);
  if (has_delta) {
    out.A = at::zeros_like(out.L);
    out.D = at::empty_like(out.Q);
  }
  for_parts(tokens, [&](std::int64_t first, std::int64_t count) {
    fill(tokens.narrow(first, count), out.narrow(first, count));
  });
  return out;
}

}  // namespace mdnlab::scan::batched
