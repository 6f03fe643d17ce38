// Matrix products of tiles: C(i,n) = s(i) · Σ_k A(i,k) B(k,n), or added to C.
//
// A block of kBlockRows rows by kBlockVectors vectors of C stays in registers over the whole sum. B and C are
// read and written in whole vectors, so `columns` is a multiple of the lanes.
#pragma once

#include <type_traits>

#include "scan/cpu/ahead.h"
#include "scan/cpu/tile.h"

namespace mdnlab::scan::cpu {
namespace {

struct Extent {
  std::int64_t rows, columns, inner;
};

// A(i,k) = data[i·row + k·column]: a tile, or one transposed.
template <class T>
struct Operand {
  const T* data;
  std::int64_t row, column;

  Operand(Tile<T> tile) : data(tile.data), row(tile.row), column(1) {}
  Operand(const T* data, std::int64_t row, std::int64_t column) : data(data), row(row), column(column) {}
};

template <class T>
Operand<T> transposed(Tile<T> tile) {
  return {tile.data, 1, tile.row};
}

template <class T>
struct Target {
  Tile<T> tile;
  bool add = false;
  const T* scale = nullptr;  // s, null: 1
};

// Which k a row i of A takes part with. Entries of A on the other side are never read.
enum class Sum { all, to_row, from_row };  // to_row: k ≤ i (A lower); from_row: k ≥ i (a lower A transposed)

enum class Columns { all, to_row };  // to_row: of C(i,n) only n ≤ i is needed; beyond may hold anything

template <class T, int R, int N>
using Block = Vector<T>[R][N];

// block(r,:) += Σ_{begin ≤ k < end} a(i+r,k) b(k,:)
template <int R, int N, class T>
inline void multiply_add(Block<T, R, N>& block, std::int64_t i, const Operand<T>& a, const Tile<const T>& b,
                         std::int64_t begin, std::int64_t end) {
  const T* const a_i = a.data + i * a.row;
  const std::int64_t a_row = a.row, a_column = a.column;
  for (std::int64_t k = begin; k < end; ++k) {
    Vector<T> b_k[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) b_k[n] = load(b.at(k) + n * kLanes<T>);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const T a_rk = a_i[r * a_row + k * a_column];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) block[r][n] += a_rk * b_k[n];
    }
  }
}

// The part of a triangular sum that crosses the diagonal: k = i … i+R−1, each row with its own side of it.
template <Sum kSum, int R, int N, class T>
inline void multiply_add_diagonal(Block<T, R, N>& block, std::int64_t i, const Operand<T>& a,
                                  const Tile<const T>& b) {
  const T* const corner = a.data + i * a.row + i * a.column;
#pragma GCC unroll 8
  for (int k = 0; k < R; ++k) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      if (kSum == Sum::to_row ? k > r : k < r) continue;
      const T a_rk = corner[r * a.row + k * a.column];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) block[r][n] += a_rk * load(b.at(i + k) + n * kLanes<T>);
    }
  }
}

template <int R, int N, class T>
inline void read_block(const Tile<T>& tile, std::int64_t i, Block<T, R, N>& block) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) block[r][n] = load(tile.at(i + r) + n * kLanes<T>);
  }
}

template <int R, int N, class T>
inline void write_block(const Block<T, R, N>& block, const Tile<T>& tile, std::int64_t i) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) store<T>(tile.at(i + r) + n * kLanes<T>, block[r][n]);
  }
}

template <int R, int N, class T>
inline void scale_block(Block<T, R, N>& block, const T* scale) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) block[r][n] *= scale[r];
  }
}

template <int R, int N, class T>
inline void add_block(const Tile<T>& tile, std::int64_t i, Block<T, R, N>& block) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) block[r][n] += load(tile.at(i + r) + n * kLanes<T>);
  }
}

// A few vectors' width of a product; b and c begin there.
template <class T>
struct Column {
  Ahead& ahead;
  std::int64_t rows, inner;
  std::int64_t first;  // of C's columns
  Operand<T> a;
  Tile<const T> b;
  Target<T> c;
};

// Rows i … i+R−1 of a column.
template <Sum kSum, int R, int N, class T>
inline void product_block(const Column<T>& x, std::int64_t i) {
  if constexpr (kSum == Sum::all) x.ahead.ask();  // triangles are too short to hide it
  Block<T, R, N> block = {};
  if (x.c.add && !x.c.scale) read_block<R, N, T>(x.c.tile, i, block);
  if constexpr (kSum == Sum::all) {
    multiply_add<R, N, T>(block, i, x.a, x.b, 0, x.inner);
  } else {
    multiply_add_diagonal<kSum, R, N, T>(block, i, x.a, x.b);
    const bool before = kSum == Sum::to_row;
    multiply_add<R, N, T>(block, i, x.a, x.b, before ? 0 : i + R, before ? i : x.inner);
  }
  if (x.c.scale) {
    scale_block<R, N, T>(block, x.c.scale + i);
    if (x.c.add) add_block<R, N, T>(x.c.tile, i, block);
  }
  write_block<R, N, T>(block, x.c.tile, i);
}

// The R rows at i of a column of N vectors; where only n ≤ i is needed, of as many as hold some of it.
template <Sum kSum, Columns kColumns, int R, int N, class T>
inline void product_rows(const Column<T>& x, std::int64_t i) {
  if constexpr (kColumns == Columns::to_row && N > 1) {
    if (i + R <= x.first + (N - 1) * kLanes<T>) return product_rows<kSum, kColumns, R, N - 1>(x, i);
  }
  product_block<kSum, R, N>(x, i);
}

// The last rows, fewer than a block.
template <Sum kSum, Columns kColumns, int R, int N, class T>
void product_last_rows(const Column<T>& x, std::int64_t i) {
  if constexpr (R > 0) {
    if (x.rows - i == R) {
      product_rows<kSum, kColumns, R, N>(x, i);
    } else {
      product_last_rows<kSum, kColumns, R - 1, N>(x, i);
    }
  }
}

template <Sum kSum, Columns kColumns, int N, class T>
void product_column(const Column<T>& x) {
  std::int64_t i = kColumns == Columns::to_row ? x.first / kBlockRows * kBlockRows : 0;
  for (; i + kBlockRows <= x.rows; i += kBlockRows) product_rows<kSum, kColumns, kBlockRows, N>(x, i);
  product_last_rows<kSum, kColumns, kBlockRows - 1, N>(x, i);
}

// The last vectors, fewer than a block.
template <Sum kSum, Columns kColumns, int N, class T>
void product_last_column(const Column<T>& x, std::int64_t vectors) {
  if constexpr (N > 0) {
    if (vectors == N) {
      product_column<kSum, kColumns, N>(x);
    } else {
      product_last_column<kSum, kColumns, N - 1>(x, vectors);
    }
  }
}

template <Sum kSum = Sum::all, Columns kColumns = Columns::all, class T>
void product(Ahead& ahead, const Extent& extent, const std::type_identity_t<Operand<T>>& a,
             const std::type_identity_t<Tile<const T>>& b, const Target<T>& c) {
  constexpr std::int64_t block_columns = kBlockVectors * kLanes<T>;
  Column<T> x{ahead, extent.rows, extent.inner, 0, a, b, c};
  for (; x.first + block_columns <= extent.columns; x.first += block_columns) {
    product_column<kSum, kColumns, kBlockVectors>(x);
    x.b.data += block_columns;
    x.c.tile.data += block_columns;
  }
  product_last_column<kSum, kColumns, kBlockVectors - 1>(x, (extent.columns - x.first) / kLanes<T>);
}

}  // namespace
}  // namespace mdnlab::scan::cpu
