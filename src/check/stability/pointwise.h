// One token along its own key, where (s, m) move by J = [[α(1−βηπ), −βμ], [αηπ, μ]]; off the key the pair
// is [[α, −βμ], [0, μ]] (recurrences.md, section 5). `step` is βηπ.
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "check/stability/step.h"

namespace mdnlab::stability {

// The spectral radius of J, by eigenvalues.
std::vector<double> radii(std::span<const Gate> gates);

// The largest step with radius ≤ 1: αβη ≤ (1+α)(1+μ). Infinite at α = 0.
double most_step_one_key(double alpha, double mu);

// Steps strictly between these have a complex pair: |√α − √μ| < √(αβη) < √α + √μ. Infinite at α = 0.
std::pair<double, double> complex_steps(double alpha, double mu);
bool is_complex(const Gate& gate);

// The largest step that, held constant, never grows beyond α a token under any sequence of unit keys:
// βη ≤ 2(1−ν)²/(1+ν) with ν = μ/α; nothing from ν = 1 on.
std::optional<double> most_step_every_key(double alpha, double mu);

// The share of the largest certified step that a gate takes, ρ = u(1+ν)/(2(1−ν)) with u = βη/(1−ν);
// infinite from ν = 1 on. Up to 1, constant gates are certified.
double certified_share(const Gate& gate);

}  // namespace mdnlab::stability
