#include "scan/batched/blocks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

namespace mdnlab::scan::batched {

std::vector<Passage> passages(const ChunkTokens& tokens) {
  std::vector<Passage> levels{passage_of_tokens(tokens.log_alpha, tokens.log_mu, tokens.beta)};
  for (std::int64_t size = 1; size < tokens.q.size(1); size *= 2)
    levels.push_back(doubled(levels.back(), size));
  return levels;
}

Passage between_blocks(const Passage& x, std::int64_t size) {
  Passage y{.log_a = halves(x.log_a, size).second, .G = halves(x.G, size).first};
  if (x.has_momentum()) {
    y.log_m = halves(x.log_m, size).second;
    y.b = halves(x.b, size).second;
    y.log_R = halves(x.log_R, size).first;
  }
  return y;
}

at::Tensor block(const at::Tensor& matrix_ECC, std::int64_t size, int rows_half, int columns_half) {
  const std::int64_t E = matrix_ECC.size(0), pairs = matrix_ECC.size(1) / (2 * size);
  return matrix_ECC.view({E, pairs, 2, size, pairs, 2, size})
      .diagonal(0, 1, 4)  // [E,2,size,2,size,pairs]
      .select(1, rows_half)
      .select(2, columns_half)
      .permute({0, 3, 1, 2});
}

at::Tensor unit_lower_inverse(const at::Tensor& A_ECC) {
  const at::Tensor U = at::zeros_like(A_ECC);
  U.diagonal(0, 1, 2).fill_(1);
  for (std::int64_t size = 1; size < A_ECC.size(1); size *= 2) {
    const at::Tensor read_by_second = at::matmul(block(U, size, 1, 1), meeting_block(A_ECC, size));
    meeting_block(U, size).copy_(at::matmul(read_by_second, block(U, size, 0, 0)).neg_());
  }
  return U;
}

at::Tensor b_ahead(const Passage& x, double look_ahead) {
  return look_ahead == 0 ? x.b : x.b + x.log_m.exp() * look_ahead;
}

Passage before(const Passage& x) {
  Passage y{.log_a = row_before(x.log_a, 0)};
  if (x.has_momentum()) y.b = row_before(x.b, 0);
  return y;
}

at::Tensor last_row(const at::Tensor& value_ECX) { return value_ECX.select(1, value_ECX.size(1) - 1); }

void for_parts(const ChunkTokens& tokens, const std::function<void(std::int64_t, std::int64_t)>& work) {
  constexpr std::int64_t kElements = 1 << 22;
  const std::int64_t E = tokens.q.size(0);
  const std::int64_t part = std::max<std::int64_t>(1, kElements / (tokens.q.size(1) * tokens.q.size(2)));
  for (std::int64_t first = 0; first < E; first += part) work(first, std::min(part, E - first));
}

}  // namespace mdnlab::scan::batched
