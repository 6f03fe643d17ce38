// Where documents and chunks lie, where only the GPU knows it.
#pragma once

#include <cuda_runtime_api.h>

#include "scan/cuda/problem.h"

namespace mdnlab::scan::cuda {

// Rows of `tokens` tokens from first_token on, each with `documents` documents that begin at starts[0],
// starts[1], …, and room for `chunks` chunks. Numbers that lead out of their row are taken for its end.
struct RowTables {
  const int* starts;  // [rows·documents + 1]
  int first_token, rows, tokens, documents, chunks;
  Document* document;  // [rows·documents]
  Chunk* chunk;        // [rows·chunks]
};
cudaError_t launch_tables(const RowTables& tables, cudaStream_t stream);

}  // namespace mdnlab::scan::cuda
