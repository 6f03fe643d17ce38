// The tokens of a text and where its documents start: in memory or in a mapped file, read in place.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace mdnlab {

// Bytes that an id of a vocabulary takes in a file or in memory: 1, 2 or 4, little-endian.
int token_width(std::int64_t vocab_size);

// Appends ids to packed bytes. Each must fit the width.
void append_tokens(std::span<const std::int32_t> tokens, int width, std::vector<std::byte>& packed);

class Tokens {
 public:
  // `starts` are the first tokens of the documents, ascending from 0; empty when there are no tokens.
  Tokens(std::vector<std::byte> packed, int width, std::vector<std::uint64_t> starts);
  // `count` tokens from byte `offset` of the map, which holds them.
  Tokens(MappedFile file, std::size_t offset, std::int64_t count, int width,
         std::vector<std::uint64_t> starts);

  std::int64_t count() const { return count_; }
  int width() const { return width_; }
  const std::vector<std::uint64_t>& starts() const { return starts_; }

  // Tokens [first, first + count), which must lie within.
  void copy(std::int64_t first, std::int64_t count, std::int64_t* out) const;

  // All tokens in order, block by block.
  void visit(const std::function<void(std::int64_t first, std::span<const std::int64_t> block)>& see) const;

  // SHA-256 of the tokens' bytes and the starts (8 bytes each): the same in memory and in a packed file.
  std::string digest() const;

 private:
  std::vector<std::byte> memory_;
  std::optional<MappedFile> file_;
  const std::byte* data_;  // within one of the two; moving either leaves it where it is
  std::int64_t count_;
  int width_;
  std::vector<std::uint64_t> starts_;
};

}  // namespace mdnlab
