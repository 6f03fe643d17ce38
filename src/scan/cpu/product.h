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

// block(r,:) += Σ_{begin ≤ k < end} a(r,k) b(k,:)
template <int R, int N, class T>
inline void multiply_add(Block<T, R, N>& block, const T* a, std::int64_t a_row, std::int64_t a_column,
                         Tile<const T> b, std::int64_t begin, std::int64_t end) {
  for (std::int64_t k = begin; k < end; ++k) {
    Vector<T> b_k[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) b_k[n] = load(b.at(k) + n * kLanes<T>);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const T a_rk = a[r * a_row + k * a_column];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) block[r][n] += a_rk * b_k[n];
    }
  }
}

// The part of a triangular sum that crosses the diagonal: k = i … i+R−1, each row with its own side of it.
template <Sum kSum, int R, int N, class T>
inline void multiply_add_diagonal(Block<T, R, N>& block, const T* a_i, std::int64_t i, Operand<T> a,
                                  Tile<const T> b) {
#pragma GCC unroll 8
  for (int k = 0; k < R; ++k) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      if (kSum == Sum::to_row ? k > r : k < r) continue;
      const T a_rk = a_i[r * a.row + (i + k) * a.column];
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) block[r][n] += a_rk * load(b.at(i + k) + n * kLanes<T>);
    }
  }
}

template <int R, int N, class T>
inline void read_block(Tile<const T> tile, std::int64_t i, Block<T, R, N>& block) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) block[r][n] = load(tile.at(i + r) + n * kLanes<T>);
  }
}

template <int R, int N, class T>
inline void write_block(const Block<T, R, N>& block, Tile<T> tile, std::int64_t i) {
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
inline void add_block(Tile<const T> tile, std::int64_t i, Block<T, R, N>& block) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) block[r][n] += load(tile.at(i + r) + n * kLanes<T>);
  }
}

// Rows i … i+R−1, N vectors.
template <Sum kSum, int R, int N, class T>
inline void product_block(Ahead& ahead, std::int64_t i, std::int64_t inner, Operand<T> a, Tile<const T> b,
                          const Target<T>& c) {
  ahead.ask();
  Block<T, R, N> block = {};
  if (c.add && !c.scale) read_block<R, N, T>(read_only(c.tile), i, block);
  const T* a_i = a.data + i * a.row;
  if constexpr (kSum == Sum::all) {
    multiply_add<R, N, T>(block, a_i, a.row, a.column, b, 0, inner);
  } else {
    multiply_add_diagonal<kSum, R, N, T>(block, a_i, i, a, b);
    const bool before = kSum == Sum::to_row;
    multiply_add<R, N, T>(block, a_i, a.row, a.column, b, before ? 0 : i + R, before ? i : inner);
  }
  if (c.scale) {
    scale_block<R, N, T>(block, c.scale + i);
    if (c.add) add_block<R, N, T>(read_only(c.tile), i, block);
  }
  write_block<R, N, T>(block, c.tile, i);
}

// The last rows, fewer than a block.
template <Sum kSum, int R, int N, class T>
void product_rest(Ahead& ahead, std::int64_t i, std::int64_t rows, std::int64_t inner, Operand<T> a,
                  Tile<const T> b, const Target<T>& c) {
  if constexpr (R > 0) {
    if (rows == R) {
      product_block<kSum, R, N>(ahead, i, inner, a, b, c);
    } else {
      product_rest<kSum, R - 1, N>(ahead, i, rows, inner, a, b, c);
    }
  }
}

template <Sum kSum, Columns kColumns, int N, class T>
void product_column(Ahead& ahead, const Extent& extent, std::int64_t column, Operand<T> a, Tile<const T> b,
                    Target<T> c) {
  b.data += column;
  c.tile.data += column;
  std::int64_t i = kColumns == Columns::to_row ? column / kBlockRows * kBlockRows : 0;
  for (; i + kBlockRows <= extent.rows; i += kBlockRows) {
    product_block<kSum, kBlockRows, N>(ahead, i, extent.inner, a, b, c);
  }
  product_rest<kSum, kBlockRows - 1, N>(ahead, i, extent.rows - i, extent.inner, a, b, c);
}

template <Sum kSum = Sum::all, Columns kColumns = Columns::all, class T>
void product(Ahead& ahead, const Extent& extent, std::type_identity_t<Operand<T>> a,
             std::type_identity_t<Tile<const T>> b, const Target<T>& c) {
  constexpr std::int64_t block_columns = kBlockVectors * kLanes<T>;
  std::int64_t column = 0;
  for (; column + block_columns <= extent.columns; column += block_columns) {
    product_column<kSum, kColumns, kBlockVectors>(ahead, extent, column, a, b, c);
  }
  for (; column < extent.columns; column += kLanes<T>) {
    product_column<kSum, kColumns, 1>(ahead, extent, column, a, b, c);
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
