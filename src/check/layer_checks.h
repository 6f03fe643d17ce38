// The layer level of the suite: a whole layer of any rule on a device, through Rule::forward with its own
// parameters. The judge is the same rule in float64 on the CPU, token by token with its state, and finite
// differences there.
#pragma once

#include "check/layer.h"
#include "check/verdict.h"

namespace mdnlab::check {

// Adds every case of the layer level.
void check_layer(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict);

// Its parts. However a sequence is cut, batched or padded, what comes out is the same.
void check_sequence(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict);
// Gradients of x and of every parameter, also through the state of a sequence in parts.
void check_gradients(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict);
// What the rule says of itself: its state, its capabilities, its gates.
void check_claims(const LayerChoice& choice, std::uint64_t seed, at::Device device, Verdict& verdict);

// "layer/GROUP", with the choice's variant before `variant`.
Where layer_where(const LayerChoice& choice, const char* group, const std::string& variant,
                  at::ScalarType dtype);

// The tolerance of what a bf16 layer computes: `exact` in float64; `rounded` in float64 too, but from x and
// parameters rounded to bf16.
double bf16_layer_tolerance(const at::Tensor& rounded, const at::Tensor& exact);

}  // namespace mdnlab::check
