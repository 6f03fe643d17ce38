// A table of options put together from parts while compiling, so that a module lists its options in a
// constant.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "config/params.h"

namespace mdnlab {

class FieldTable {
 public:
  constexpr FieldTable() = default;
  // More than the capacity does not compile in a constant.
  constexpr void add(const Field& field) { fields_.at(count_++) = field; }
  constexpr void add(std::span<const Field> fields) {
    for (const Field& field : fields) add(field);
  }

  constexpr const Field* data() const { return fields_.data(); }
  constexpr std::size_t size() const { return count_; }

 private:
  std::array<Field, 24> fields_{};
  std::size_t count_ = 0;
};

}  // namespace mdnlab
