// The tokenizer that needs no files: token id = byte, 256 ids.
#pragma once

#include "data/tokenizer.h"

namespace mdnlab {

class ByteTokenizer final : public Tokenizer {
 public:
  ByteTokenizer();
  std::vector<std::int32_t> encode(std::string_view text) const override;

 private:
  std::string decode_valid(std::span<const std::int32_t> tokens) const override;
};

}  // namespace mdnlab
