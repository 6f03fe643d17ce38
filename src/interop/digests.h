// SHA256SUMS beside the files of a checkpoint: `sha256sum -c SHA256SUMS` verifies the folder.
#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace mdnlab {

inline constexpr const char* digests_file = "SHA256SUMS";

// Writes folder/SHA256SUMS over these files of the folder.
void write_digests(const std::filesystem::path& folder, std::span<const char* const> files);

// Each of these files is there and is what SHA256SUMS says. A missing, unlisted or changed file, or a line
// that is no digest, is an Error with Code::failed that names the file with the digests found and expected.
void verify_digests(const std::filesystem::path& folder, std::span<const char* const> files);

}  // namespace mdnlab
