#include "scan/batched/pairs.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>

#include "scan/batched/read_write.h"

namespace mdnlab::scan::batched {

Keys unit_keys(const ChunkTokens& tokens) {
  const at::Tensor ones = at::ones_like(tokens.beta);
  return {ones, tokens.p.defined() ? ones : at::Tensor(), ones};
}

at::Tensor own_write(const ChunkTokens& tokens) {
  return tokens.look_ahead == 0 ? tokens.beta : tokens.beta + tokens.look_ahead;
}

void fill_pairs(const Keys& keys, const ChunkTokens& x, const std::vector<Passage>& levels,
                const at::Tensor& L, const at::Tensor& A) {
  L.diagonal(0, 1, 2).copy_(((keys.q * keys.written_key).sum(-1, true) * own_write(x)).squeeze(-1));
  for (std::size_t level = 0; level + 1 < levels.size(); ++level) {
    const std::int64_t size = std::int64_t{1} << level;
    const Passage between = between_blocks(levels[level], size);
    const at::Tensor writers = writer(halves(keys.written_key, size).first, between.G, between.log_R).mT();
    const at::Tensor readers =
        reader(halves(keys.q, size).second, between.log_a, b_ahead(between, x.look_ahead));
    meeting_block(L, size).copy_(at::matmul(readers, writers));
    if (!A.defined()) continue;
    const Passage erase = before(between);
    const at::Tensor erasers = reader(halves(keys.p, size).second, erase.log_a, erase.b);
    meeting_block(A, size).copy_(at::matmul(erasers, writers));
  }
}

}  // namespace mdnlab::scan::batched
