// Where the documents and chunks of a batch lie, in the device's memory.
#pragma once

#include <ATen/core/Tensor.h>

#include "scan/cuda/problem.h"
#include "scan/inputs.h"

namespace mdnlab::scan {

struct Layout {
  at::Tensor tables;  // the documents, then the chunks, as ints
  int documents = 0, chunks = 0;

  const cuda::Document* document() const;
  const cuda::Chunk* chunk() const;
};

// Of the documents first…last of `inputs`, whose states then are those of N' = last − first documents; chunks
// count from 0. The layouts of the last few batches are kept: a training loop sends its own once.
Layout layout(const Inputs& inputs, std::int64_t first, std::int64_t last);

}  // namespace mdnlab::scan
