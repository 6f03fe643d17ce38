// Memory that will be needed soon. A chunk's rows lie a token's stride apart, which the hardware does not
// foresee; asked for in one go they would stall the core, so a product's blocks ask for a few lines each.
#pragma once

#include <array>
#include <cstdint>

#include "scan/cpu/kernel.h"

namespace mdnlab::scan::cpu {
namespace {

class Ahead {
 public:
  void clear() { next_ = count_ = 0; }

  // Read or written soon, after what was added before. What does not fit is left to the hardware.
  template <class T>
  void add(const T* data, std::int64_t entries) {
    if (!data || entries <= 0 || count_ == kPieces) return;
    const auto* begin = reinterpret_cast<const char*>(data);
    pieces_[count_++] = {begin, begin + entries * static_cast<std::int64_t>(sizeof(T))};
  }

  template <class T>
  void add_rows(const Rows<T>& rows, std::int64_t token, std::int64_t head, std::int64_t count,
                std::int64_t width) {
    if (!rows.data) return;
    for (std::int64_t t = 0; t < count; ++t) add(rows.row(token + t, head), width);
  }

  void ask() {
    for (int line = 0; line < kLinesAtOnce && next_ < count_; ++line) {
      Piece& piece = pieces_[next_];
      __builtin_prefetch(piece.begin);
      piece.begin += kLineBytes;
      if (piece.begin >= piece.end) ++next_;
    }
  }

 private:
  static constexpr int kPieces = 1024, kLinesAtOnce = 16, kLineBytes = 64;
  struct Piece {
    const char *begin, *end;
  };
  std::array<Piece, kPieces> pieces_;
  int next_ = 0, count_ = 0;
};

}  // namespace
}  // namespace mdnlab::scan::cpu
