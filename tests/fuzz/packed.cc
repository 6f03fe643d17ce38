// A packed token file: what is opened holds tokens of the vocabulary, in documents that start in order.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"
#include "data/byte_tokenizer.h"
#include "data/packed.h"
#include "target.h"

namespace {

using namespace mdnlab;

// A file in memory; the path serves as long as it lives.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content) : descriptor_(memfd_create("packed", 0)) {
    require(write(descriptor_, content.data(), content.size()) == static_cast<ssize_t>(content.size()), "memory file");
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

void open_and_read(std::string_view content) {
  static const ByteTokenizer tokenizer;
  const MemoryFile file(content);
  read_or_refuse([&] {
    const PackedText text = open_packed(file.path(), tokenizer);
    std::int64_t seen = 0;
    text.tokens.visit([&](std::int64_t first, std::span<const std::int64_t> block) {
      require(first == seen, "a block out of order");
      for (const std::int64_t token : block) require(token >= 0 && token < tokenizer.vocab_size(), "a foreign token");
      seen += static_cast<std::int64_t>(block.size());
    });
    require(seen == text.tokens.count(), "another count of tokens");
    std::uint64_t after = 0;
    for (const std::uint64_t start : text.tokens.starts()) {
      require(start >= after && start < static_cast<std::uint64_t>(seen), "starts out of order");
      after = start + 1;
    }
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string content(reinterpret_cast<const char*>(data), size);
  open_and_read(content);

  // The same bytes under a header whose own check is right, since no mutation finds a SHA-256.
  if (size < sizeof(PackedHeader)) return 0;
  PackedHeader header;
  std::memcpy(&header, content.data(), sizeof header);
  const std::string check = sha256({content.data(), offsetof(PackedHeader, header_sha256)});
  std::memcpy(header.header_sha256, check.data(), sizeof header.header_sha256);
  std::memcpy(content.data(), &header, sizeof header);
  open_and_read(content);
  return 0;
}
