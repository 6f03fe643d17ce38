// Network file systems, where a write-ahead log loses data: its index is memory shared by the processes of
// one host.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace mdnlab {

// "NFS", "Lustre", "FUSE", … when `file` (or, while it does not exist, its folder) lies on one; "" when it is
// local or cannot be asked.
std::string network_file_system(const std::filesystem::path& file);

// The same by the f_type of statfs(2).
std::string network_file_system_name(std::uint32_t type);

}  // namespace mdnlab
