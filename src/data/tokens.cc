#include "data/tokens.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace mdnlab {

static_assert(std::endian::native == std::endian::little, "tokens are read in place");

namespace {

template <class Stored>
void widen(const std::byte* from, std::int64_t count, std::int64_t* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    Stored token;
    std::memcpy(&token, from + static_cast<std::size_t>(i) * sizeof(Stored), sizeof(Stored));
    out[i] = token;
  }
}

}  // namespace

int token_width(std::int64_t vocab_size) { return vocab_size <= 1 << 8 ? 1 : vocab_size <= 1 << 16 ? 2 : 4; }

void append_tokens(std::span<const std::int32_t> tokens, int width, std::vector<std::byte>& packed) {
  const std::size_t old = packed.size(), bytes = static_cast<std::size_t>(width);
  packed.resize(old + tokens.size() * bytes);
  std::byte* out = packed.data() + old;
  for (const std::int32_t token : tokens) {
    std::memcpy(out, &token, bytes);
    out += bytes;
  }
}

Tokens::Tokens(std::vector<std::byte> packed, int width, std::vector<std::uint64_t> starts)
    : memory_(std::move(packed)),
      data_(memory_.data()),
      count_(static_cast<std::int64_t>(memory_.size()) / width),
      width_(width),
      starts_(std::move(starts)) {}

Tokens::Tokens(MappedFile file, std::size_t offset, std::int64_t count, int width,
               std::vector<std::uint64_t> starts)
    : file_(std::move(file)),
      data_(file_->bytes().data() + offset),
      count_(count),
      width_(width),
      starts_(std::move(starts)) {}

void Tokens::copy(std::int64_t first, std::int64_t count, std::int64_t* out) const {
  const std::byte* from = data_ + first * width_;
  if (width_ == 1) return widen<std::uint8_t>(from, count, out);
  if (width_ == 2) return widen<std::uint16_t>(from, count, out);
  widen<std::uint32_t>(from, count, out);
}

void Tokens::visit(const std::function<void(std::int64_t, std::span<const std::int64_t>)>& see) const {
  std::vector<std::int64_t> block(std::size_t{1} << 16);
  for (std::int64_t first = 0; first < count_;) {
    const std::int64_t count =
        std::min<std::int64_t>(count_ - first, static_cast<std::int64_t>(block.size()));
    copy(first, count, block.data());
    see(first, std::span(block).first(static_cast<std::size_t>(count)));
    first += count;
  }
}

std::string Tokens::digest() const {
  Digest digest;
  digest.add({reinterpret_cast<const char*>(data_), static_cast<std::size_t>(count_ * width_)});
  digest.add({reinterpret_cast<const char*>(starts_.data()), starts_.size() * sizeof(std::uint64_t)});
  return digest.hex();
}

}  // namespace mdnlab
