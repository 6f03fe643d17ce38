// The packed token file (.bin): a text tokenised once, to be mapped and read in place.
//
//   header     256 bytes, the struct below; all numbers little-endian
//   tokens     `tokens` ids of `token_width` bytes, then zeros up to a multiple of 8 bytes
//   starts     `documents` numbers of 8 bytes: the first token of each document, ascending from 0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "data/tokenizer.h"
#include "data/tokens.h"

namespace mdnlab {

struct PackedHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t token_width;  // 1, 2 or 4
  std::uint64_t vocab_size;
  std::uint64_t tokens;
  std::uint64_t documents;
  char tokenizer[88];       // Tokenizer::digest(), filled up with zeros
  char content_sha256[64];  // Tokens::digest()
  char header_sha256[64];   // of the 192 bytes before
};
static_assert(sizeof(PackedHeader) == 256);

inline constexpr std::string_view packed_magic = "mdntoken";
inline constexpr std::uint32_t packed_version = 1;

std::uint64_t padded_to_8(std::uint64_t bytes);  // the next multiple of 8

// The header of a file of these tokens, its two checks included.
PackedHeader packed_header(const Tokenizer& tokenizer, std::uint64_t tokens, std::uint64_t documents,
                           std::string_view content_sha256);

struct PackedText {
  Tokens tokens;
  std::string content_sha256;  // the header's: tokens.digest(), unless the content was damaged since
};

// Maps a packed file. Everything but the content's digest is checked, each failure is Code::usage and names
// the file: no packed file, a newer version, a damaged header, a length that is not what the header says,
// starts out of order, a token outside the vocabulary, made by another tokenizer than `tokenizer`.
PackedText open_packed(const std::filesystem::path& file, const Tokenizer& tokenizer);

}  // namespace mdnlab
