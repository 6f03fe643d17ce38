// Steps whose keys stay in one plane, as 4×4 matrices on (s₁, s₂, m₁, m₂).
#pragma once

#include <array>

#include "check/stability/step.h"

namespace mdnlab::stability {

using Matrix = std::array<double, 16>;  // row by row

inline constexpr Matrix identity{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

Matrix product(const Matrix& a, const Matrix& b);
Matrix step_matrix(const Token<2>& token);
Matrix turned(const Matrix& matrix, double angle);  // seen from axes that have turned by `angle` since

// The spectral radius, as the limit of ‖Aⁿ‖^(1/n) by squaring, n = 2³⁰: to 1e-7 even where eigenvalues
// coincide and an eigenvalue routine may not converge. Infinite where the entries are not finite.
double growth_of(const Matrix& matrix);

}  // namespace mdnlab::stability
