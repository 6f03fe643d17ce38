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
  void clear() { next_ = count_ = 0; }

  // Read or written soon, after what was added before. What does not fit is left to the hardware.
  template <class T>
  void add(const T* data, std::int64_t entries) {
    if (!data) return;
    const auto* place = reinterpret_cast<const char*>(data);
    const char* const end = place + entries * static_cast<std::int64_t>(sizeof(T));
    for (; place < end && count_ < kCapacity; place += kLines * kLineBytes) places_[count_++] = place;
  }

  template <class T>
  void add_rows(const Rows<T>& rows, std::int64_t token, std::int64_t head, std::int64_t count,
                std::int64_t width) {
    if (!rows.data) return;
    for (std::int64_t t = 0; t < count; ++t) add(rows.row(token + t, head), width);
  }

  void ask() {
    if (next_ + kPlacesAtOnce > count_) return;
    for (int i = 0; i < kPlacesAtOnce; ++i) {
      for (int line = 0; line < kLines; ++line) __builtin_prefetch(places_[next_ + i] + line * kLineBytes);
    }
    next_ += kPlacesAtOnce;
  }

 private:
  static constexpr int kCapacity = 2048, kPlacesAtOnce = 3, kLines = 4, kLineBytes = 64;
  std::array<const char*, kCapacity> places_;  // each stands for kLines lines
  int next_ = 0, count_ = 0;
};

}  // namespace
}  // namespace mdnlab::scan::cpu
