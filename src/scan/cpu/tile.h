// Tiles: row-major pieces of scratch memory that hold a chunk's rows; widths are padded with zeros.
#pragma once

#include <algorithm>

#include "scan/cpu/kernel.h"
#include "scan/cpu/vector.h"

namespace mdnlab::scan::cpu {
namespace {

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
  T* take_if(bool wanted, std::int64_t entries) { return wanted ? take(entries) : nullptr; }
  std::int64_t used() const { return used_; }

 private:
  T* buffer_;
  std::int64_t used_ = 0;
};

template <class T>
void load_rows(const Rows<const T>& source, std::int64_t token, std::int64_t head, std::int64_t count,
               std::int64_t width, T* tile) {
  const std::int64_t row = padded(width);
  for (std::int64_t t = 0; t < count; ++t) {
    std::copy_n(source.row(token + t, head), width, tile + t * row);
    std::fill(tile + t * row + width, tile + (t + 1) * row, T(0));
  }
}

template <class T>
void store_rows(const T* tile, const Rows<T>& target, std::int64_t token, std::int64_t head,
                std::int64_t count, std::int64_t width, bool add = false) {
  const std::int64_t row = padded(width);
  for (std::int64_t t = 0; t < count; ++t) {
    T* out = target.row(token + t, head);
    if (add) {
      for (std::int64_t i = 0; i < width; ++i) out[i] += tile[t * row + i];
    } else {
      std::copy_n(tile + t * row, width, out);
    }
  }
}

// A contiguous [rows, width] matrix to and from a tile; null reads as zero and is not written.
template <class T>
void load_matrix(const T* source, std::int64_t rows, std::int64_t width, T* tile) {
  if (source) {
    load_rows(Rows<const T>{source, width, 0}, 0, 0, rows, width, tile);
  } else {
    std::fill_n(tile, rows * padded(width), T(0));
  }
}

template <class T>
void store_matrix(const T* tile, std::int64_t rows, std::int64_t width, T* target) {
  if (target) store_rows(tile, Rows<T>{target, width, 0}, 0, 0, rows, width);
}

// out(j,i) = tile(i,j) for i < rows, j < width, and zero up to i < padded(rows).
template <class T>
void transpose(const T* tile, std::int64_t rows, std::int64_t width, T* out, std::int64_t out_row) {
  const std::int64_t tile_row = padded(width);
  constexpr std::int64_t edge = kTileAlignment;
  for (std::int64_t i0 = 0; i0 < rows; i0 += edge) {
    const std::int64_t count = std::min(edge, rows - i0);
    for (std::int64_t j = 0; j < width; ++j) {
      T* target = out + j * out_row + i0;
      for (std::int64_t i = 0; i < count; ++i) target[i] = tile[(i0 + i) * tile_row + j];
      std::fill(target + count, target + edge, T(0));
    }
  }
}

// to(t,:) (+)= scale[t] · from(t,:).
template <class T>
void scale_rows(const T* from, const T* scale, std::int64_t rows, std::int64_t row, T* to) {
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t i = 0; i < row; i += kLanes<T>)
      store<T>(to + t * row + i, load(from + t * row + i) * scale[t]);
  }
}

template <class T>
void add_scaled(T scale, const T* from, std::int64_t entries, T* to) {
  for (std::int64_t i = 0; i < entries; i += kLanes<T>)
    store<T>(to + i, load(to + i) + load(from + i) * scale);
}

template <class T>
void scale_entries(T scale, std::int64_t entries, T* tile) {
  for (std::int64_t i = 0; i < entries; i += kLanes<T>) store<T>(tile + i, load(tile + i) * scale);
}

}  // namespace
}  // namespace mdnlab::scan::cpu
