// Unit triangular solves on tiles, in place. The blocks are a product's: what the solved rows give is summed
// as there, then the rows of the block among themselves, still in registers.
#pragma once

#include "scan/cpu/product.h"

namespace mdnlab::scan::cpu {
namespace {

// x_i += Σ_{j<i} N(i,j) x_j for the rows i … i+R−1, those before being solved.
template <int R, int N, class T>
inline void solve_block(std::int64_t i, Tile<T> n, Tile<T> x) {
  Block<T, R, N> block;
  read_block<R, N, T>(x, i, block);
  multiply_add<R, N, T>(block, i, n, x, 0, i);
#pragma GCC unroll 8
  for (int j = 0; j < R; ++j) {
#pragma GCC unroll 8
    for (int r = j + 1; r < R; ++r) {
      const T n_rj = n.at(i + r)[i + j];
#pragma GCC unroll 8
      for (int l = 0; l < N; ++l) block[r][l] += n_rj * block[j][l];
    }
  }
  write_block<R, N, T>(block, x, i);
}

// x_j += Σ_{t>j} N(t,j) x_t for the rows i … i+R−1, those after being solved.
template <int R, int N, class T>
inline void solve_transposed_block(std::int64_t i, std::int64_t rows, Tile<T> n, Tile<T> x) {
  Block<T, R, N> block;
  read_block<R, N, T>(x, i, block);
  multiply_add<R, N, T>(block, i, transposed(n), x, i + R, rows);
#pragma GCC unroll 8
  for (int t = R - 1; t > 0; --t) {
#pragma GCC unroll 8
    for (int r = 0; r < t; ++r) {
      const T n_tr = n.at(i + t)[i + r];
#pragma GCC unroll 8
      for (int l = 0; l < N; ++l) block[r][l] += n_tr * block[t][l];
    }
  }
  write_block<R, N, T>(block, x, i);
}

template <int N, class T>
void solve_column(std::int64_t rows, Tile<T> n, Tile<T> x) {
  std::int64_t i = 0;
  for (; i + kBlockRows <= rows; i += kBlockRows) solve_block<kBlockRows, N>(i, n, x);
  for (; i < rows; ++i) solve_block<1, N>(i, n, x);
}

template <int N, class T>
void solve_transposed_column(std::int64_t rows, Tile<T> n, Tile<T> x) {
  std::int64_t i = rows;
  for (; i % kBlockRows != 0; --i) solve_transposed_block<1, N>(i - 1, rows, n, x);
  for (; i > 0; i -= kBlockRows) solve_transposed_block<kBlockRows, N>(i - kBlockRows, rows, n, x);
}

// X ← (I − N)⁻¹ X for a strictly lower N; entries of N on and beyond the diagonal are never read.
template <class T>
void solve(std::int64_t rows, std::int64_t columns, Tile<T> n, Tile<T> x) {
  constexpr std::int64_t block_columns = kBlockVectors * kLanes<T>;
  std::int64_t column = 0;
  for (; column + block_columns <= columns; column += block_columns) {
    solve_column<kBlockVectors, T>(rows, n, {x.data + column, x.row});
  }
  for (; column < columns; column += kLanes<T>) solve_column<1, T>(rows, n, {x.data + column, x.row});
}

// X ← (I − Nᵀ)⁻¹ X.
template <class T>
void solve_transposed(std::int64_t rows, std::int64_t columns, Tile<T> n, Tile<T> x) {
  constexpr std::int64_t block_columns = kBlockVectors * kLanes<T>;
  std::int64_t column = 0;
  for (; column + block_columns <= columns; column += block_columns) {
    solve_transposed_column<kBlockVectors, T>(rows, n, {x.data + column, x.row});
  }
  for (; column < columns; column += kLanes<T>)
    solve_transposed_column<1, T>(rows, n, {x.data + column, x.row});
}

}  // namespace
}  // namespace mdnlab::scan::cpu
