// Memory that will be needed soon. A chunk's rows lie a token's stride apart, which the hardware does not
// foresee; asked for in one go they would stall the core, so each block of a product asks for a little.
#pragma once

#include <array>
#include <cstdint>

#include "scan/cpu/kernel.h"

namespace mdnlab::scan::cpu {
namespace {

class Ahead {
 public:
  void clear() { next_ = count_ = offset_ = 0; }

  // Rows that will be read or written soon, after those added before. Null: nothing.
  template <class T>
  void add_rows(const Rows<T>& rows, std::int64_t token, std::int64_t head, std::int64_t count,
                std::int64_t width) {
    constexpr auto size = static_cast<std::int64_t>(sizeof(T));
    if (!rows.data || count <= 0 || count_ == kAreas) return;
    areas_[count_++] = {reinterpret_cast<const char*>(rows.row(token, head)), rows.token_stride * size, count,
                        width * size};
  }

  template <class T>
  void add(T* data, std::int64_t entries) {
    add_rows(Rows<T>{data, 0, 0}, 0, 0, 1, entries);
  }

  [[gnu::always_inline]] void ask() {
    for (int piece = 0; piece < kPieces && next_ < count_; ++piece) {
      Area& area = areas_[next_];
      for (int line = 0; line < kLines; ++line)
        __builtin_prefetch(area.row + offset_ + line * kLineBytes, 0, 2);
      offset_ += kLines * kLineBytes;
      if (offset_ < area.bytes) continue;
      offset_ = 0;
      area.row += area.stride;
      if (--area.rows == 0) ++next_;
    }
  }

 private:
  static constexpr int kAreas = 16, kPieces = 2, kLines = 4, kLineBytes = 64;
  struct Area {
    const char* row;  // the next one
    std::int64_t stride, rows, bytes;
  };
  std::array<Area, kAreas> areas_;
  int next_ = 0, count_ = 0, offset_ = 0;  // offset_ in the next area's row
};

}  // namespace
}  // namespace mdnlab::scan::cpu
