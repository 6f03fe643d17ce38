// Tiles: row-major pieces of scratch memory that hold a chunk's rows or a state; rows are padded with zeros
// to a multiple of kTileAlignment.
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>

#include "scan/cpu/kernel.h"
#include "scan/cpu/vector.h"

namespace mdnlab::scan::cpu {
namespace {

template <class T>
struct Tile {
  T* data = nullptr;
  std::int64_t row = 0;  // entries from one row to the next

  T* at(std::int64_t i) const { return data + i * row; }
  operator Tile<const T>() const { return {data, row}; }
};

template <class T>
using ReadTile = std::type_identity_t<Tile<const T>>;  // as a parameter: a Tile<T> will do

// Hands out pieces of one buffer, in order; from a null buffer it only counts.
template <class T>
class Scratch {
 public:
  explicit Scratch(T* buffer) : buffer_(buffer) {}

  T* take(std::int64_t entries) {
    T* piece = buffer_ ? buffer_ + used_ : nullptr;
    used_ += padded(entries);
    return piece;
  }
  Tile<T> tile(std::int64_t rows, std::int64_t width) { return {take(rows * padded(width)), padded(width)}; }
  std::int64_t used() const { return used_; }

 private:
  T* buffer_;
  std::int64_t used_ = 0;
};

template <class T>
void load_rows(const Rows<const T>& source, std::int64_t token, std::int64_t head, std::int64_t count,
               std::int64_t width, Tile<T> tile) {
  for (std::int64_t t = 0; t < count; ++t) {
    std::copy_n(source.row(token + t, head), width, tile.at(t));
    std::fill(tile.at(t) + width, tile.at(t + 1), T(0));
  }
}

// The rows where they lie; of a width that needs padding, copied into `own`.
template <class T>
Tile<const T> find_rows(const Rows<const T>& source, std::int64_t token, std::int64_t head,
                        std::int64_t count, std::int64_t width, Tile<T> own) {
  if (width == own.row) return {source.row(token, head), source.token_stride};
  load_rows(source, token, head, count, width, own);
  return own;
}

// Where to write such rows: in place or, of a width that needs padding or if nobody wants them, `own`.
template <class T>
Tile<T> place_rows(const Rows<T>& target, std::int64_t token, std::int64_t head, std::int64_t width,
                   Tile<T> own) {
  if (!target.data || width != own.row) return own;
  return {target.row(token, head), target.token_stride};
}

// Rows that were written in place stay.
template <class T>
void store_rows(Tile<T> tile, const Rows<T>& target, std::int64_t token, std::int64_t head,
                std::int64_t count, std::int64_t width, bool add = false) {
  if (tile.data == target.row(token, head)) return;
  for (std::int64_t t = 0; t < count; ++t) {
    T* out = target.row(token + t, head);
    if (add) {
      for (std::int64_t i = 0; i < width; ++i) out[i] += tile.at(t)[i];
    } else {
      std::copy_n(tile.at(t), width, out);
    }
  }
}

// A contiguous [rows, width] matrix to and from a tile; null reads as zero and is not written.
template <class T>
void load_matrix(const T* source, std::int64_t rows, std::int64_t width, Tile<T> tile) {
  if (source) {
    load_rows(Rows<const T>{source, width, 0}, 0, 0, rows, width, tile);
  } else {
    std::fill_n(tile.data, rows * tile.row, T(0));
  }
}

template <class T>
void store_matrix(Tile<T> tile, std::int64_t rows, std::int64_t width, T* target) {
  if (target) store_rows(tile, Rows<T>{target, width, 0}, 0, 0, rows, width);
}

// out(t,:) = factor[t] · tile(t,:).
template <class T>
void scale_rows(ReadTile<T> tile, const T* factor, std::int64_t rows, Tile<T> out) {
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t i = 0; i < out.row; i += kLanes<T>) {
      store<T>(out.at(t) + i, load(tile.at(t) + i) * factor[t]);
    }
  }
}

template <class T>
void scale(T factor, Tile<T> a, std::int64_t rows, Tile<T> out) {
  for (std::int64_t i = 0; i < rows * out.row; i += kLanes<T>) {
    store<T>(out.data + i, load(a.data + i) * factor);
  }
}

// One step of a square transposition: exchanges the off-diagonal quarters of rows i and i + kHalf.
template <int kHalf, class T, std::size_t... kLane>
inline void exchange(Vector<T>& upper, Vector<T>& lower, std::index_sequence<kLane...>) {
  constexpr int lanes = kLanes<T>;
  const Vector<T> a = upper, b = lower;
  upper = __builtin_shufflevector(a, b, (int(kLane) & kHalf ? lanes + int(kLane) - kHalf : int(kLane))...);
  lower = __builtin_shufflevector(a, b, (int(kLane) & kHalf ? lanes + int(kLane) : int(kLane) + kHalf)...);
}

template <int kHalf, class T>
inline void transpose_square(Vector<T> (&rows)[kLanes<T>]) {
  if constexpr (kHalf > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<T>; ++i) {
      if (i & kHalf) continue;
      exchange<kHalf, T>(rows[i], rows[i + kHalf], std::make_index_sequence<kLanes<T>>());
    }
    transpose_square<kHalf / 2, T>(rows);
  }
}

// out(j,i) = tile(i,j) for i < rows, j < width, and zero for rows ≤ i < padded(rows).
template <class T>
void transpose(ReadTile<T> tile, std::int64_t rows, std::int64_t width, Tile<T> out) {
  constexpr std::int64_t lanes = kLanes<T>;
  for (std::int64_t i0 = 0; i0 < padded(rows); i0 += lanes) {
    for (std::int64_t j0 = 0; j0 < width; j0 += lanes) {
      Vector<T> square[lanes];
      const T* from = tile.at(i0) + j0;
      T* to = out.at(j0) + i0;
      if (i0 + lanes <= rows) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) square[i] = load(from + i * tile.row);
      } else {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) square[i] = i0 + i < rows ? load(from + i * tile.row) : Vector<T>{};
      }
      transpose_square<lanes / 2, T>(square);
      if (j0 + lanes <= width) {
#pragma GCC unroll 16
        for (int j = 0; j < lanes; ++j) store<T>(to + j * out.row, square[j]);
      } else {
#pragma GCC unroll 16
        for (int j = 0; j < lanes; ++j) {
          if (j0 + j < width) store<T>(to + j * out.row, square[j]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace mdnlab::scan::cpu
