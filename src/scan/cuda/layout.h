// Where the documents and chunks of a batch lie, in the device's memory.
#pragma once

#include <ATen/core/Tensor.h>

#include "scan/cuda/cut.h"
#include "scan/cuda/problem.h"

namespace mdnlab::scan {

struct Layout {
  at::Tensor tables;  // of tables() in cut.h
  int runs = 0;       // segments · N'
  int chunks = 0;

  const cuda::Document* document() const;
  const cuda::Chunk* chunk() const;
};

// Of N' = last − first documents that start at `starts`, N' + 1 tokens; chunks count from 0. The layouts of
// the last few batches are kept: a training loop sends its own once.
Layout layout(const std::vector<std::int64_t>& starts, const Cut& cut, c10::Device device);

// Documents whose starts only the GPU knows (Inputs::cu_seqlens): whole rows of `tokens` tokens and
// `documents` documents each.
struct Rows {
  std::int64_t first_token = 0, tokens = 0, documents = 0;

  // As many as a row can have, which have room behind each other; what a row has not has no tokens.
  std::int64_t chunks() const;
};

// Uncut; `starts` is int32 on the GPU, made on its current stream.
Layout layout(const at::Tensor& starts, Rows rows);

}  // namespace mdnlab::scan
