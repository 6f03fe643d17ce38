// The house rule of includes: a room sees only the rooms above it, a plugin only those made for plugins.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace mdnlab {

struct IncludeReport {
  std::size_t files = 0;
  std::size_t includes = 0;           // of rooms
  std::vector<std::string> mistakes;  // "src/base/file.cc:12: ..."
};

// Reads every C++ and CUDA file under root/src and root/plugins.
IncludeReport check_includes(const std::filesystem::path& root);

}  // namespace mdnlab
