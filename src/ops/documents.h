// Where documents start inside a packed batch: what the scan, the convolutions and attention need to reset
// there.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace mdnlab::ops {

struct Documents {
  at::Tensor cu_seqlens;  // int32 [N+1] over the flattened (B,T) tokens, on the CPU or, where filled up, on
                          // the tokens' device (scan/chunk.h); undefined: none
  at::Tensor position_BT;  // int64, the token's place in its document, from 0, on the tokens' device;
                           // undefined: none

  bool exist() const { return cu_seqlens.defined(); }
  // Those of tokens on `device`, from ones on the CPU.
  Documents to(at::Device device) const;
  std::int64_t most_in_a_row() const;  // 1 where there are none; on the CPU
};

// `starts` are flattened token indices inside rows, in any order; every row's first token is a start anyway.
// Without a start inside a row, no documents exist (the cheap path). On the CPU.
Documents documents(std::int64_t batch, std::int64_t tokens, std::vector<std::int32_t> starts);

// Every row filled up to `in_a_row` documents by empty ones at its end, or made to have that many where there
// are none: of one shape, whatever the starts, and as a whole on `device`, without waiting for it.
Documents filled_up(const Documents& on_the_cpu, std::int64_t batch, std::int64_t tokens,
                    std::int64_t in_a_row, at::Device device);

}  // namespace mdnlab::ops
