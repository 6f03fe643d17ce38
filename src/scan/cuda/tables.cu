// A block has a row.
#include "scan/cuda/tables.h"

namespace mdnlab::scan::cuda {

namespace {

constexpr int kLanes = 32;

// The row's documents, by one warp, 32 at a time.
__device__ void lay_documents(const RowTables& in, int row, int lane) {
  const int begin = in.first_token + row * in.tokens, end = begin + in.tokens, first = row * in.documents;
  int chunks = 0;  // of the documents before
  for (int base = 0; base < in.documents; base += kLanes) {
    const int n = base + lane;
    int own = 0;
    if (n < in.documents) {
      const int from = max(begin, in.starts[first + n]), to = min(end, in.starts[first + n + 1]);
      own = max(0, to - from + kChunk - 1) / kChunk;
    }
    int sum = own;
    for (int distance = 1; distance < kLanes; distance *= 2) {
      const int before = __shfl_up_sync(~0u, sum, distance);
      if (lane >= distance) sum += before;
    }
    const int at = min(in.chunks, chunks + sum - own);
    if (n < in.documents) in.document[first + n] = {row * in.chunks + at, min(own, in.chunks - at)};
    chunks += __shfl_sync(~0u, sum, kLanes - 1);
  }
}

__global__ void tables(const __grid_constant__ RowTables in) {
  const int row = blockIdx.x, first = row * in.documents;
  const int begin = in.first_token + row * in.tokens, end = begin + in.tokens;
  if (threadIdx.x < kLanes) lay_documents(in, row, threadIdx.x);
  __syncthreads();
  for (int c = threadIdx.x; c < in.chunks; c += blockDim.x) {
    const int chunk = row * in.chunks + c;
    int n = 0;  // the last document that begins no later; empty ones begin where the next one does
    for (int step = 1 << (31 - __clz(in.documents)); step > 0; step /= 2) {
      if (n + step < in.documents && in.document[first + n + step].first_chunk <= chunk) n += step;
    }
    const Document of = in.document[first + n];
    const int token = max(begin, in.starts[first + n]) + (chunk - of.first_chunk) * kChunk;
    const int rows = min(min(end, in.starts[first + n + 1]) - token, kChunk);
    // Kernels read the last row of a chunk in place of those that it has not: here that of token − 1.
    const bool is_there = chunk < of.first_chunk + of.chunks && rows > 0;
    in.chunk[chunk] = is_there ? Chunk{token, rows} : Chunk{begin + 1, 0};
  }
}

}  // namespace

cudaError_t launch_tables(const RowTables& in, cudaStream_t stream) {
  constexpr int kThreads = 256;
  tables<<<in.rows, kThreads, 0, stream>>>(in);
  return cudaGetLastError();
}

}  // namespace mdnlab::scan::cuda
