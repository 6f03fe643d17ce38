// Matrix products and unit triangular solves on row-major tiles.
//
// A product computes C(i,n) = s(i) · Σ_k A(i,k) B(k,n), or adds it to C. Rows of B and C are multiples of the
// lanes wide. Blocks of kBlockRows rows by kBlockVectors vectors of C stay in registers over the whole sum.
#pragma once

#include <algorithm>

#include "scan/cpu/vector.h"

namespace mdnlab::scan::cpu {
namespace {

// A(i,k) = data[i·row + k·column]: transposed() swaps the two.
template <class T>
struct Operand {
  const T* data;
  std::int64_t row, column = 1;

  Operand transposed() const { return {data, column, row}; }
};

// Which k a row i of A takes part with. Entries of A on the other side are never read.
enum class Sum { all, to_row, from_row };  // to_row: k ≤ i (A lower); from_row: k ≥ i (A a transposed lower)

enum class Columns { all, to_row };  // to_row: of C(i,n) only n ≤ i is needed; beyond may hold anything

template <class T>
struct Target {
  T* data;
  std::int64_t row;
  bool add = false;
  const T* scale = nullptr;  // s, null: 1
};

template <class T, int R, int N>
struct Block {
  Vector<T> at[R][N];
};

template <class T, int R, int N>
inline void multiply_add(Block<T, R, N>& c, const T* a, std::int64_t a_row, std::int64_t a_column, const T* b,
                         std::int64_t b_row, std::int64_t begin, std::int64_t end) {
  for (std::int64_t k = begin; k < end; ++k) {
    Vector<T> b_k[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) b_k[n] = load(b + k * b_row + n * kLanes<T>);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const T a_rk = a[r * a_row + k * a_column];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) c.at[r][n] += a_rk * b_k[n];
    }
  }
}

template <class T, int R, int N>
inline void clear(Block<T, R, N>& c) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) c.at[r][n] = Vector<T>{};
  }
}

template <class T, int R, int N>
inline void read(Block<T, R, N>& c, const T* source, std::int64_t row) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) c.at[r][n] = load(source + r * row + n * kLanes<T>);
  }
}

template <class T, int R, int N>
inline void write(const Block<T, R, N>& c, T* target, std::int64_t row) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) store<T>(target + r * row + n * kLanes<T>, c.at[r][n]);
  }
}

// Rows i … i+R−1 against columns of N vectors.
template <Sum kSum, int R, int N, class T>
inline void product_block(std::int64_t i, std::int64_t inner, Operand<T> a, const T* b, std::int64_t b_row,
                          const Target<T>& c, T* c_block) {
  Block<T, R, N> block;
  clear(block);
  const T* a_i = a.data + i * a.row;
  if constexpr (kSum == Sum::all) {
    multiply_add(block, a_i, a.row, a.column, b, b_row, 0, inner);
  } else {
    // The R×R triangle on the diagonal, then the full columns before or after it.
#pragma GCC unroll 8
    for (int k = 0; k < R; ++k) {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        if (kSum == Sum::to_row ? k > r : k < r) continue;
        const T a_rk = a_i[r * a.row + (i + k) * a.column];
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) block.at[r][n] += a_rk * load(b + (i + k) * b_row + n * kLanes<T>);
      }
    }
    const bool before = kSum == Sum::to_row;
    multiply_add(block, a_i, a.row, a.column, b, b_row, before ? 0 : i + R, before ? i : inner);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      T* target = c_block + r * c.row + n * kLanes<T>;
      Vector<T> value = block.at[r][n];
      if (c.scale) value *= c.scale[i + r];
      if (c.add) value += load(target);
      store<T>(target, value);
    }
  }
}

template <Sum kSum, int R, int N, class T>
void product_rest(std::int64_t i, std::int64_t rows, std::int64_t inner, Operand<T> a, const T* b,
                  std::int64_t b_row, const Target<T>& c, T* c_column) {
  if constexpr (R > 0) {
    if (rows == R) {
      product_block<kSum, R, N>(i, inner, a, b, b_row, c, c_column + i * c.row);
    } else {
      product_rest<kSum, R - 1, N>(i, rows, inner, a, b, b_row, c, c_column);
    }
  }
}

template <Sum kSum, int N, class T>
void product_column(std::int64_t first_row, std::int64_t rows, std::int64_t inner, Operand<T> a, const T* b,
                    std::int64_t b_row, const Target<T>& c, T* c_column) {
  std::int64_t i = first_row;
  for (; i + kBlockRows <= rows; i += kBlockRows) {
    product_block<kSum, kBlockRows, N>(i, inner, a, b, b_row, c, c_column + i * c.row);
  }
  product_rest<kSum, kBlockRows - 1, N>(i, rows - i, inner, a, b, b_row, c, c_column);
}

template <Sum kSum = Sum::all, Columns kColumns = Columns::all, class T>
void product(std::int64_t rows, std::int64_t columns, std::int64_t inner, Operand<T> a, const T* b,
             std::int64_t b_row, Target<T> c) {
  constexpr std::int64_t lanes = kLanes<T>;
  std::int64_t n = 0;
  const auto first_row = [&] {
    return kColumns == Columns::to_row ? n / kBlockRows * kBlockRows : std::int64_t{0};
  };
  for (; n + kBlockVectors * lanes <= columns; n += kBlockVectors * lanes) {
    product_column<kSum, kBlockVectors>(first_row(), rows, inner, a, b + n, b_row, c, c.data + n);
  }
  if (columns - n > lanes) {
    product_column<kSum, 2>(first_row(), rows, inner, a, b + n, b_row, c, c.data + n);
    n += 2 * lanes;
  }
  if (n < columns) product_column<kSum, 1>(first_row(), rows, inner, a, b + n, b_row, c, c.data + n);
}

// X ← (I − N)⁻¹ X for a strictly lower N (rows × rows): x_i += Σ_{j<i} N(i,j) x_j, top down.
template <int R, int N, class T>
inline void solve_block(std::int64_t i, Operand<T> n, T* x, std::int64_t x_row) {
  Block<T, R, N> block;
  read(block, x + i * x_row, x_row);
  const T* n_i = n.data + i * n.row;
  multiply_add(block, n_i, n.row, n.column, x, x_row, 0, i);
#pragma GCC unroll 8
  for (int j = 0; j < R; ++j) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      if (r <= j) continue;
      const T n_rj = n_i[r * n.row + (i + j) * n.column];
#pragma GCC unroll 8
      for (int l = 0; l < N; ++l) block.at[r][l] += n_rj * block.at[j][l];
    }
  }
  write(block, x + i * x_row, x_row);
}

// X ← (I − Nᵀ)⁻¹ X: x_j += Σ_{t>j} N(t,j) x_t, bottom up. `n` is Nᵀ: n(j,t) = N(t,j).
template <int R, int N, class T>
inline void solve_transposed_block(std::int64_t i, std::int64_t rows, Operand<T> n, T* x,
                                   std::int64_t x_row) {
  Block<T, R, N> block;
  read(block, x + i * x_row, x_row);
  const T* n_i = n.data + i * n.row;
  multiply_add(block, n_i, n.row, n.column, x, x_row, i + R, rows);
#pragma GCC unroll 8
  for (int t = R - 1; t >= 0; --t) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      if (r >= t) continue;
      const T n_rt = n_i[r * n.row + (i + t) * n.column];
#pragma GCC unroll 8
      for (int l = 0; l < N; ++l) block.at[r][l] += n_rt * block.at[t][l];
    }
  }
  write(block, x + i * x_row, x_row);
}

template <int N, class T>
void solve_column(std::int64_t rows, Operand<T> n, T* x, std::int64_t x_row) {
  std::int64_t i = 0;
  for (; i + kBlockRows <= rows; i += kBlockRows) solve_block<kBlockRows, N>(i, n, x, x_row);
  for (; i < rows; ++i) solve_block<1, N>(i, n, x, x_row);
}

template <int N, class T>
void solve_transposed_column(std::int64_t rows, Operand<T> n, T* x, std::int64_t x_row) {
  std::int64_t i = rows;
  for (; i % kBlockRows != 0; --i) solve_transposed_block<1, N>(i - 1, rows, n, x, x_row);
  for (; i > 0; i -= kBlockRows) solve_transposed_block<kBlockRows, N>(i - kBlockRows, rows, n, x, x_row);
}

template <class T>
void solve(std::int64_t rows, std::int64_t columns, Operand<T> n, T* x, std::int64_t x_row) {
  constexpr std::int64_t lanes = kLanes<T>;
  std::int64_t column = 0;
  for (; column + 2 * lanes <= columns; column += 2 * lanes) solve_column<2>(rows, n, x + column, x_row);
  if (column < columns) solve_column<1>(rows, n, x + column, x_row);
}

template <class T>
void solve_transposed(std::int64_t rows, std::int64_t columns, Operand<T> n, T* x, std::int64_t x_row) {
  constexpr std::int64_t lanes = kLanes<T>;
  const Operand<T> transposed = n.transposed();
  std::int64_t column = 0;
  for (; column + 2 * lanes <= columns; column += 2 * lanes) {
    solve_transposed_column<2>(rows, transposed, x + column, x_row);
  }
  if (column < columns) solve_transposed_column<1>(rows, transposed, x + column, x_row);
}

}  // namespace
}  // namespace mdnlab::scan::cpu
