// Inputs for the scan's tests, and the comparison of two results. Shape letters as in scan/chunk.h.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "scan/chunk.h"

namespace mdnlab::scan {

struct Rule {
  bool delta = false, momentum = false, own_p = false;
  bool channel_decay = false, channel_mu = false;
  double look_ahead = 0;
};
inline constexpr Rule kRules[] = {
    {},
    {.momentum = true},
    {.delta = true},
    {.delta = true, .momentum = true},
    {.delta = true, .own_p = true},
    {.delta = true, .momentum = true, .own_p = true},
    {.momentum = true, .look_ahead = 0.5},
    {.delta = true, .momentum = true, .look_ahead = 1},
    {.channel_decay = true},
    {.momentum = true, .channel_decay = true},
    {.momentum = true, .channel_decay = true, .channel_mu = true, .look_ahead = 0.5},
    {.delta = true, .channel_decay = true},
    {.delta = true, .momentum = true, .channel_decay = true, .look_ahead = 1},
    {.delta = true, .momentum = true, .channel_decay = true, .channel_mu = true},
    {.delta = true, .own_p = true, .channel_decay = true},
    {.delta = true,
     .momentum = true,
     .own_p = true,
     .channel_decay = true,
     .channel_mu = true,
     .look_ahead = 0.5}};
std::string name(const Rule& rule);

struct Shape {
  std::int64_t B = 2, T = 77, H = 2, G = 2, K = 24, V = 20;
};

inline constexpr double kRandomGates = 1;  // each log-gate drawn from −1e-4, −0.1, −1, −5, −20

struct Settings {
  Shape shape;
  Rule rule;
  at::ScalarType dtype = at::kDouble;
  double log_alpha = -0.05, log_mu = -0.5;  // of every token; channel-wise half to one and a half times that
  double largest_beta = 0.3;
  bool initial_state = true;
  std::uint64_t seed = 1;
  std::int64_t documents = 0;  // states of so many documents; 0: one a row
};

// Unit keys, q scaled by K^−½; every tensor that the rule knows requires a gradient.
Inputs make_inputs(const Settings& settings);

// Standard normal, float64; the same for one seed.
at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed);

// The defined tensors of `inputs` with their names.
struct Named {
  std::string name;
  at::Tensor tensor;
};
std::vector<Named> named(const Inputs& inputs);

// Gradients of a fixed random weighting of every defined output with regard to every defined input.
std::vector<Named> gradients(const Inputs& inputs, const Outputs& outputs);

// ‖actual − expected‖ / ‖expected‖ in float64; 0 when both are zero; a failure names the worst entry.
double relative_error(const at::Tensor& actual, const at::Tensor& expected);
void expect_close(const std::string& what, const at::Tensor& actual, const at::Tensor& expected,
                  double tolerance);
void expect_equal(const std::string& what, const at::Tensor& actual,
                  const at::Tensor& expected);  // bit for bit

// Outputs and gradients.
void expect_agree(const Inputs& inputs, const Outputs& actual, const Outputs& expected, double tolerance);

}  // namespace mdnlab::scan
