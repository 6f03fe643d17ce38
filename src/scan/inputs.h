// The floating tensors of Inputs in the order of their declaration, for code that treats them alike.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "scan/chunk.h"

namespace mdnlab::scan {

inline constexpr std::size_t kTensors = 10;

std::array<at::Tensor*, kTensors> tensors(Inputs& inputs);
std::array<const at::Tensor*, kTensors> tensors(const Inputs& inputs);

// Whether α, and μ, are vectors over the key width. Inputs are valid.
bool has_channel_decay(const Inputs& inputs);
bool has_channel_momentum(const Inputs& inputs);

// The same with μ of its own: where mu_shares_alpha, log_mu becomes log ν + log α (B,T,H,K), on autograd's
// record.
Inputs with_own_mu(const Inputs& inputs);

// Whether autograd records what is computed from these.
bool needs_gradient(const Inputs& inputs);

// Where the documents start in the flattened (B,T), N+1 values: cu_seqlens, or the rows.
std::vector<std::int64_t> document_starts(const Inputs& inputs);

}  // namespace mdnlab::scan
