// Tokenises a text into a packed file, one document in memory at a time.
#pragma once

#include <cstdint>
#include <filesystem>

#include "config/params.h"

namespace mdnlab {

struct PackedCounts {
  std::int64_t documents = 0;
  std::int64_t tokens = 0;
};

// `data` is a section of data_fields(), `base` as for Corpus; `output` ends in .bin and is replaced once the
// new file is whole and synced. Code::usage for a text that cannot be read or is empty, or is packed already;
// Code::store for a full disk.
PackedCounts pack_corpus(const Params& data, const std::filesystem::path& base,
                         const std::filesystem::path& output);

}  // namespace mdnlab
