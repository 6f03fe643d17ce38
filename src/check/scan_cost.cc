#include "check/scan_cost.h"

#include <algorithm>

namespace mdnlab {

ScanCost scan_cost(const ScanCell& cell, const ScanShape& shape, c10::ScalarType dtype,
                   std::string_view direction) {
  constexpr double C = 64, kFloatBytes = 4;
  const auto B = static_cast<double>(shape.B), T = static_cast<double>(shape.T),
             H = static_cast<double>(shape.H), G = static_cast<double>(shape.key_heads()),
             K = static_cast<double>(shape.K), V = static_cast<double>(shape.V);
  const double halves = cell.has_momentum ? 2 : 1, delta = cell.has_delta ? 1 : 0;
  const double element = static_cast<double>(c10::elementSize(dtype));
  const double state = B * H * halves * K * V;
  if (direction == "step") {
    const double products = 4 + 2 * delta;  // outer product, decay, o; and what p reads
    return {.operations = products * state, .bytes = 2 * kFloatBytes * state};
  }
  const double chunks = B * H * T / C;
  // Through the state: D X (delta), Q̂ X, Ψᵀ w. Within the chunk: Q Kᵀ, P Kᵀ (delta), L w, U (V − D X)
  // (delta).
  const double forward = 2 * chunks * ((2 + delta) * C * halves * K * V + (1 + delta) * C * C * (K + V));
  // Through the state: Ψ dX⁺, dO Xᵀ, w dX⁺ᵀ, Q̂ᵀ dO; dr Xᵀ, Dᵀ dr (delta). Within the chunk: the scores again;
  // Lᵀ dO, dO wᵀ, dQ, dK; Uᵀ dw, dr wᵀ, dP and its part of dK (delta).
  const double backward =
      2 * chunks * ((4 + 2 * delta) * C * halves * K * V + (1 + delta) * C * C * (3 * K + 2 * V));
  const double log_gates = (cell.has_decay ? 1 : 0) + (cell.has_momentum ? 1 : 0);
  const double gates = B * T * H * kFloatBytes * (2 + (cell.has_channel_decay ? K : 1) * log_gates);
  const double read = B * T * (2 * G * K + H * V) * element + gates, written = B * T * H * V * element;
  if (direction == "fwd") return {.operations = forward, .bytes = read + written};
  // Backward reads the inputs and dO, and writes a gradient for each input.
  return {.operations = forward + backward, .bytes = read + written + (read + written) + read};
}

double floor_ms(const ScanCost& cost, c10::ScalarType dtype, std::string_view direction) {
  constexpr double kBytesPerMs = 4.3e9, kOperationsPerMs = 760e9;
  if (direction == "step") return cost.bytes / kBytesPerMs;
  if (c10::elementSize(dtype) != 2) return 0;
  return std::max(cost.bytes / kBytesPerMs, cost.operations / kOperationsPerMs);
}

}  // namespace mdnlab
