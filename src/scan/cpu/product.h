// Matrix products of tiles: Σ_k A(i,k) B(k,n), handed to a Target or a Fold.
//
// A block of kBlockRows rows by kBlockVectors vectors of the result stays in registers over the whole sum,
// and what is to be done with it is done there. B and the result are read and written in whole vectors, so
// `columns` is a multiple of the lanes.
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

  Operand(Tile<const T> tile) : data(tile.data), row(tile.row), column(1) {}
  Operand(Tile<T> tile) : Operand(Tile<const T>(tile)) {}
  Operand(const T* data, std::int64_t row, std::int64_t column) : data(data), row(row), column(column) {}
};

template <class T>
Operand<T> transposed(Tile<T> tile) {
  return {tile.data, 1, tile.row};
}

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
inline void read_block(const ReadTile<T>& tile, std::int64_t i, Block<T, R, N>& block) {
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

// Where a product begins, and where its result goes. A block is begun before its sum and finished after it.
//
// Target: C(i,:) = s(i) · Σ_k A(i,k) B(k,:) + Σ factor · tile(i,:) over the terms, which may be C itself.
template <class T>
struct Target {
  struct Term {
    Tile<const T> tile;
    T factor;
  };
  Tile<T> tile;
  Term terms[2] = {};        // null tiles: none
  const T* scale = nullptr;  // s, null: 1

  template <int R, int N>
  void begin(Block<T, R, N>& block, std::int64_t i) const {
    if (!scale) add_terms<R, N>(block, i);
  }
  template <int R, int N>
  void finish(Block<T, R, N>& block, std::int64_t i) const {
    if (scale) {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) block[r][n] *= scale[i + r];
      }
      add_terms<R, N>(block, i);
    }
    write_block<R, N, T>(block, tile, i);
  }
  void skip_columns(std::int64_t columns) {
    tile.data += columns;
    for (Term& term : terms) term.tile.data += term.tile.data ? columns : 0;
  }

 private:
  template <int R, int N>
  void add_terms(Block<T, R, N>& block, std::int64_t i) const {
    for (const Term& term : terms) {
      if (!term.tile.data) return;
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) block[r][n] += load(term.tile.at(i + r) + n * kLanes<T>) * term.factor;
      }
    }
  }
};

// C += s · A B
template <class T>
Target<T> added_to(Tile<T> tile, const T* scale = nullptr) {
  return {.tile = tile, .terms = {{tile, T(1)}}, .scale = scale};
}

// Fold: the product is the adjoint of factor∘rows and is kept nowhere. into(i,:) += factor(i) · product(i,:);
// the adjoint of factor(i) is ⟨product(i,:), rows(i,:)⟩.
template <class T>
struct Fold {
  const T* factor;
  Tile<const T> rows;
  Tile<T> into;
  T* factor_adjoint;
  bool has_begun = false;  // factor_adjoint holds the columns before

  template <int R, int N>
  void begin(Block<T, R, N>&, std::int64_t) const {}
  template <int R, int N>
  void finish(const Block<T, R, N>& block, std::int64_t i) const {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const T* row = rows.at(i + r);
      T* sum_to = into.at(i + r);
      Vector<T> total = {};
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        total += block[r][n] * load(row + n * kLanes<T>);
        store<T>(sum_to + n * kLanes<T>, load(sum_to + n * kLanes<T>) + block[r][n] * factor[i + r]);
      }
      factor_adjoint[i + r] = sum<T>(total) + (has_begun ? factor_adjoint[i + r] : T(0));
    }
  }
  void skip_columns(std::int64_t columns) {
    rows.data += columns;
    into.data += columns;
    has_begun = true;
  }
};

// A few vectors' width of a product; b and the result begin there.
template <class T, class Result>
struct Column {
  Ahead& ahead;
  std::int64_t rows, inner;
  std::int64_t first;  // of the result's columns
  Operand<T> a;
  Tile<const T> b;
  Result result;
};

// Rows i … i+R−1 of a column.
template <Sum kSum, int R, int N, class T, class Result>
inline void product_block(const Column<T, Result>& x, std::int64_t i) {
  Block<T, R, N> block = {};
  x.result.template begin<R, N>(block, i);
  if constexpr (kSum == Sum::all) {
    constexpr int kParts = 3;  // asked for at once, so many lines would keep the block's own waiting
    for (int part = 0; part < kParts; ++part) {
      x.ahead.ask();
      multiply_add<R, N, T>(block, i, x.a, x.b, x.inner * part / kParts, x.inner * (part + 1) / kParts);
    }
  } else {  // too short to hide it
    multiply_add_diagonal<kSum, R, N, T>(block, i, x.a, x.b);
    const bool before = kSum == Sum::to_row;
    multiply_add<R, N, T>(block, i, x.a, x.b, before ? 0 : i + R, before ? i : x.inner);
  }
  x.result.template finish<R, N>(block, i);
}

// The R rows at i of a column of N vectors; where only n ≤ i is needed, of as many as hold some of it.
template <Sum kSum, Columns kColumns, int R, int N, class T, class Result>
inline void product_rows(const Column<T, Result>& x, std::int64_t i) {
  if constexpr (kColumns == Columns::to_row && N > 1) {
    if (i + R <= x.first + (N - 1) * kLanes<T>) return product_rows<kSum, kColumns, R, N - 1>(x, i);
  }
  product_block<kSum, R, N>(x, i);
}

// The last rows, fewer than a block.
template <Sum kSum, Columns kColumns, int R, int N, class T, class Result>
void product_last_rows(const Column<T, Result>& x, std::int64_t i) {
  if constexpr (R > 0) {
    if (x.rows - i == R) {
      product_rows<kSum, kColumns, R, N>(x, i);
    } else {
      product_last_rows<kSum, kColumns, R - 1, N>(x, i);
    }
  }
}

template <Sum kSum, Columns kColumns, int N, class T, class Result>
void product_column(const Column<T, Result>& x) {
  std::int64_t i = kColumns == Columns::to_row ? x.first / kBlockRows * kBlockRows : 0;
  for (; i + kBlockRows <= x.rows; i += kBlockRows) product_rows<kSum, kColumns, kBlockRows, N>(x, i);
  product_last_rows<kSum, kColumns, kBlockRows - 1, N>(x, i);
}

// The last vectors, fewer than a block.
template <Sum kSum, Columns kColumns, int N, class T, class Result>
void product_last_column(const Column<T, Result>& x, std::int64_t vectors) {
  if constexpr (N > 0) {
    if (vectors == N) {
      product_column<kSum, kColumns, N>(x);
    } else {
      product_last_column<kSum, kColumns, N - 1>(x, vectors);
    }
  }
}

template <Sum kSum = Sum::all, Columns kColumns = Columns::all, template <class> class Result, class T>
void product(Ahead& ahead, const Extent& extent, const std::type_identity_t<Operand<T>>& a,
             const ReadTile<T>& b, const Result<T>& result) {
  constexpr std::int64_t block_columns = kBlockVectors * kLanes<T>;
  Column<T, Result<T>> x{ahead, extent.rows, extent.inner, 0, a, b, result};
  for (; x.first + block_columns <= extent.columns; x.first += block_columns) {
    product_column<kSum, kColumns, kBlockVectors>(x);
    x.b.data += block_columns;
    x.result.skip_columns(block_columns);
  }
  product_last_column<kSum, kColumns, kBlockVectors - 1>(x, (extent.columns - x.first) / kLanes<T>);
}

}  // namespace
}  // namespace mdnlab::scan::cpu
