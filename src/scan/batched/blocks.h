// Where a pair of blocks meets in a chunk's matrices: the tokens of every second block read what those of the
// first one before it wrote.
#pragma once

#include <functional>
#include <vector>

#include "scan/batched/chunk_tokens.h"
#include "scan/batched/passage.h"

namespace mdnlab::scan::batched {

// Level l has blocks of 2^l tokens; the last one a whole chunk.
std::vector<Passage> passages(const ChunkTokens& tokens);

// Of blocks of `size`: log_a, log_m and b of the readers, G and log_R of the writers; views.
Passage between_blocks(const Passage& passage, std::int64_t size);

// Of each pair of blocks, the rows of one half (0 or 1) and the columns of one half of a [E,C,C] matrix:
// [E,C/(2·size),size,size], a view.
at::Tensor block(const at::Tensor& matrix_ECC, std::int64_t size, int rows_half, int columns_half);

// Where the second half reads what the first one wrote.
inline at::Tensor meeting_block(const at::Tensor& matrix_ECC, std::int64_t size) {
  return block(matrix_ECC, size, 1, 0);
}

// (I + A)⁻¹ of strictly lower A [E,C,C], pair by pair: [[U, 0], [−U'A'U, U']].
at::Tensor unit_lower_inverse(const at::Tensor& A_ECC);

// What the output of token t reads of M, b_t + ω m_t; undefined without momentum.
at::Tensor b_ahead(const Passage& passage, double look_ahead);

// log_a and b of what the residual reads, the state before its token.
Passage before(const Passage& passage);

at::Tensor last_row(const at::Tensor& value_ECX);  // [E,X]

// Calls work(first, count) for parts of the batch, enough of it at a time to keep a GPU busy: what the levels
// of passages take is a multiple of a part.
void for_parts(const ChunkTokens& tokens, const std::function<void(std::int64_t, std::int64_t)>& work);

}  // namespace mdnlab::scan::batched
