#include "base/file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"

namespace mdnlab {

namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what, int cause) {
  const bool full = cause == ENOSPC || cause == EDQUOT;
  throw Error(full ? Code::store : Code::usage,
              {.place = {path.string()}, .what = what + ": " + std::generic_category().message(cause)});
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags, const std::string& what)
      : number_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (number_ < 0) fail(path, what, errno);
  }
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }
  bool close() { return number_ < 0 || ::close(std::exchange(number_, -1)) == 0; }

 private:
  int number_;
};

// Hands the file to `use` piece by piece: files without a size (pipes) are read like any other.
template <class Use>
void read_pieces(const std::filesystem::path& path, Use use) {
  const std::string what = "cannot read the file";
  const Descriptor file(path, O_RDONLY, what);
  std::vector<char> piece(1 << 18);
  for (;;) {
    const ssize_t count = ::read(file.number(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, what, errno);
    if (count == 0) return;
    use(std::string_view(piece.data(), static_cast<std::size_t>(count)));
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  std::string content;
  read_pieces(path, [&](std::string_view piece) { content += piece; });
  return content;
}

void write_file(const std::filesystem::path& path, std::string_view content) {
  write_file(path, std::span(&content, 1));
}

void write_file(const std::filesystem::path& path, std::span<const std::string_view> pieces) {
  const std::string what = "cannot write the file";
  Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC, what);
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      const ssize_t written = ::write(file.number(), piece.data(), piece.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(path, what, errno);
      piece.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  // EINVAL: a pipe or a device, which has nothing to sync.
  if (::fsync(file.number()) != 0 && errno != EINVAL) fail(path, what, errno);
  if (!file.close()) fail(path, what, errno);
}

void replace_file(const std::filesystem::path& path, std::string_view content) {
  replace_file(path, std::span(&content, 1));
}

void replace_file(const std::filesystem::path& path, std::span<const std::string_view> pieces) {
  static std::atomic<unsigned> counter = 0;
  std::filesystem::path temporary = path;
  temporary += ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  try {
    write_file(temporary, pieces);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "cannot replace the file", errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(path.parent_path());
}

void sync_folder(const std::filesystem::path& folder) {
  const std::filesystem::path named = folder.empty() ? "." : folder;
  const Descriptor opened(named, O_RDONLY | O_DIRECTORY, "cannot open the folder");
  // EINVAL: a file system whose folders need no sync.
  if (::fsync(opened.number()) != 0 && errno != EINVAL) fail(named, "cannot sync the folder", errno);
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  const std::string what = "cannot map the file";
  const Descriptor file(path, O_RDONLY, what);
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) fail(path, what, errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(Code::usage, {.place = {path.string()}, .what = what + ": it is no regular file"});
  }
  if (status.st_size == 0) return;
  const auto size = static_cast<std::size_t>(status.st_size);
  void* start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.number(), 0);
  if (start == MAP_FAILED) fail(path, what, errno);
  bytes_ = {static_cast<const std::byte*>(start), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

std::string_view MappedFile::text() const {
  return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
}

namespace {

EVP_MD_CTX* digest_context(void* context) { return static_cast<EVP_MD_CTX*>(context); }

void require_digest(int succeeded) {
  if (succeeded != 1) throw Error(Code::machine, "libcrypto failed to compute SHA-256");
}

}  // namespace

Digest::Digest() : context_(EVP_MD_CTX_new()) {
  require_digest(context_ != nullptr &&
                 EVP_DigestInit_ex(digest_context(context_), EVP_sha256(), nullptr) == 1);
}

Digest::~Digest() { EVP_MD_CTX_free(digest_context(context_)); }

void Digest::add(std::string_view content) {
  require_digest(EVP_DigestUpdate(digest_context(context_), content.data(), content.size()));
}

std::string Digest::hex() {
  std::array<unsigned char, 32> bytes{};
  require_digest(EVP_DigestFinal_ex(digest_context(context_), bytes.data(), nullptr));
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string sha256(std::string_view content) {
  Digest digest;
  digest.add(content);
  return digest.hex();
}

std::string sha256_file(const std::filesystem::path& path) {
  Digest digest;
  read_pieces(path, [&](std::string_view piece) { digest.add(piece); });
  return digest.hex();
}

}  // namespace mdnlab
