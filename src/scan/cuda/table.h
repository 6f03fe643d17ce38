// The chunk kernels that are compiled, one row an instantiation: the row that fits given inputs runs.
// The same rows say what is supported where none fits, and what `mdnlab doctor` and `mdnlab plan` print.
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <span>
#include <string>

#include "scan/chunk.h"

namespace mdnlab::scan {

struct KernelRow {
  const char* name;               // "hopper delta momentum K128 bf16"
  std::optional<bool> has_delta;  // none: delta and no delta run the same instantiation
  bool has_momentum, has_channel_decay;
  std::int64_t key_width;               // K
  std::int64_t value_step, most_value;  // V: a multiple of value_step up to most_value
  c10::ScalarType dtype;                // of q, k, v
  int capability;                       // of the GPU: 90 for 9.0
};

std::span<const KernelRow> kernel_table();

// What decides on a row.
struct KernelQuery {
  bool has_delta = false, has_momentum = false, has_channel_decay = false;
  std::int64_t K = 0, V = 0;
  c10::ScalarType dtype = c10::ScalarType::BFloat16;
  int capability = 0;
};
KernelQuery query_of(const Inputs& inputs, int capability);

// Null where none fits; then refusal() names what does not fit, and what would, in the order capability,
// rule, dtype, K, V: "K is 96, and it takes 64, 128".
const KernelRow* find_kernel(const KernelQuery& query);
std::string refusal(const KernelQuery& query);

}  // namespace mdnlab::scan
