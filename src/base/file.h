// Files as the program needs them: whole reads, durable writes, read-only maps, digests.
// Every failure is an Error that names the path and the cause; a full disk is Code::store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace mdnlab {

std::string read_file(const std::filesystem::path& path);  // unreadable: Code::usage

// Writes, fsyncs and closes; the file may be half there after a crash (write into a temporary folder).
void write_file(const std::filesystem::path& path, std::string_view content);
void write_file(const std::filesystem::path& path, std::span<const std::string_view> pieces);  // one after another

// Temporary file beside it, fsync, rename, fsync of the folder: readers see the old file or the new.
void replace_file(const std::filesystem::path& path, std::string_view content);
void replace_file(const std::filesystem::path& path, std::span<const std::string_view> pieces);

void sync_folder(const std::filesystem::path& folder);

// A read-only memory map of a whole regular file; moves only. An empty file maps to an empty span.
// Nobody may shorten the file while it is mapped: reading past its new end is fatal (SIGBUS).
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }
  std::string_view text() const;

 private:
  std::span<const std::byte> bytes_;
};

// SHA-256 in lowercase hex.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void add(std::string_view content);
  std::string hex();  // ends the digest; call once

 private:
  void* context_;
};

std::string sha256(std::string_view content);
std::string sha256_file(const std::filesystem::path& path);

}  // namespace mdnlab
