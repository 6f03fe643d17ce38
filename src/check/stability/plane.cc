#include "check/stability/plane.h"

#include <cmath>
#include <limits>

namespace mdnlab::stability {

namespace {
constexpr int squarings = 30;
}

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c{};
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t k = 0; k < 4; ++k)
      for (std::size_t j = 0; j < 4; ++j) c[4 * i + j] += a[4 * i + k] * b[4 * k + j];
  return c;
}

Matrix step_matrix(const Token<2>& token) {
  Matrix matrix;
  for (std::size_t column = 0; column < 4; ++column) {
    State<2> unit;
    (column < 2 ? unit.s : unit.m)[column % 2] = 1;
    const State<2> next = advance(unit, token);
    for (std::size_t i = 0; i < 2; ++i) {
      matrix[4 * i + column] = next.s[i];
      matrix[4 * (i + 2) + column] = next.m[i];
    }
  }
  return matrix;
}

Matrix turned(const Matrix& matrix, double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  return product({c, s, 0, 0, -s, c, 0, 0, 0, 0, c, s, 0, 0, -s, c}, matrix);
}

double growth_of(const Matrix& matrix) {
  Matrix power = matrix;  // of exponent 2^squaring, scaled; its norm was exp(log_norm)
  double log_growth = 0, exponent = 1;
  for (int squaring = 0; squaring <= squarings; ++squaring, exponent *= 2) {
    if (squaring > 0) power = product(power, power);
    double norm = 0;
    for (const double entry : power) norm += std::abs(entry);
    if (norm == 0) return 0;
    if (!std::isfinite(norm)) return std::numeric_limits<double>::infinity();
    for (double& entry : power) entry /= norm;
    log_growth += std::log(norm) / exponent;
  }
  return std::exp(log_growth);
}

}  // namespace mdnlab::stability
