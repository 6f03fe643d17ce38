// The two factors of every coefficient between a write and what reads it later, K channels a half: a reader
// x_t and the write of token j, either side of a point s between them, give
//
//     Σ_c x_t G_tj k_j η_j = ⟨reader, writer⟩ ,  reader = [a_t∘x_t, −b_t∘x_t], writer = [G_j∘η_jk_j,
//     −R_j∘η_jk_j]
//
// with a_t, b_t from s to t and G_j, R_j from j to s (passage.h). Where s is the chunk's start, the reader
// reads the state X; where it is its end, the writer is what the chunk adds to it.
#pragma once

#include <ATen/core/Tensor.h>

namespace mdnlab::scan::batched {

// x […,K]; log_a and b […,W], b undefined without momentum → […,Z].
at::Tensor reader(const at::Tensor& x, const at::Tensor& log_a, const at::Tensor& b);
at::Tensor writer(const at::Tensor& written_key, const at::Tensor& G, const at::Tensor& log_R);

struct ReaderAdjoint {
  at::Tensor x, log_a, b;
};
ReaderAdjoint adjoint_of_reader(const at::Tensor& adjoint, const at::Tensor& x, const at::Tensor& log_a,
                                const at::Tensor& b);

struct WriterAdjoint {
  at::Tensor written_key, G, log_R;
};
WriterAdjoint adjoint_of_writer(const at::Tensor& adjoint, const at::Tensor& written_key, const at::Tensor& G,
                                const at::Tensor& log_R);

// […,K] → […,W] as `gate` has it.
at::Tensor over_channels(const at::Tensor& by_channel, const at::Tensor& gate);

}  // namespace mdnlab::scan::batched
