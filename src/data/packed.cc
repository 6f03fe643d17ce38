#include "data/packed.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace mdnlab {

namespace {

std::string header_check(const PackedHeader& header) {
  return sha256({reinterpret_cast<const char*>(&header), offsetof(PackedHeader, header_sha256)});
}

template <std::size_t size>
void set_text(char (&field)[size], std::string_view text) {
  std::copy_n(text.data(), std::min(size, text.size()), field);
}

template <std::size_t size>
std::string text_of(const char (&field)[size]) {
  return {field, strnlen(field, size)};
}

// What is wrong with one packed file.
class Refusal {
 public:
  explicit Refusal(std::filesystem::path file) : file_(std::move(file)) {}

  void unless(bool good, const char* what, const std::string& found = {}, const std::string& expected = {},
              const std::string& hint = "pack the text again: mdnlab data pack") const {
    if (!good) throw Error(Code::usage, {{file_.string()}, what, found, expected, hint});
  }

 private:
  std::filesystem::path file_;
};

PackedHeader read_header(std::span<const std::byte> bytes, const Refusal& refuse) {
  PackedHeader header;
  refuse.unless(bytes.size() >= sizeof header, "the file is too short for a packed token file",
                grouped(static_cast<std::int64_t>(bytes.size())) + " bytes",
                "at least " + std::to_string(sizeof header));
  std::memcpy(&header, bytes.data(), sizeof header);
  refuse.unless(std::string_view(header.magic, sizeof header.magic) == packed_magic,
                "this is no packed token file");
  refuse.unless(
      header.version == packed_version, "a packed token file of another version",
      std::to_string(header.version), std::to_string(packed_version),
      header.version > packed_version ? "it was written by a newer mdnlab: update" : "pack the text again");
  refuse.unless(std::string_view(header.header_sha256, sizeof header.header_sha256) == header_check(header),
                "the header is damaged: its SHA-256 differs");
  return header;
}

// The header's own check has passed, so these catch a faulty writer; they also make the sums below safe.
void check_sizes(const PackedHeader& header, std::uint64_t file_bytes, const Refusal& refuse) {
  const bool sound =
      header.vocab_size >= 1 && header.vocab_size <= std::uint64_t{1} << 31 &&
      static_cast<int>(header.token_width) == token_width(static_cast<std::int64_t>(header.vocab_size));
  refuse.unless(sound, "the header contradicts itself: token width and vocabulary");
  const bool within = header.tokens <= file_bytes && header.documents <= file_bytes / 8;
  const std::uint64_t expected =
      within ? sizeof header + padded_to_8(header.tokens * header.token_width) + header.documents * 8 : 0;
  refuse.unless(within && expected == file_bytes, "the file's length is not what its header says",
                grouped(static_cast<std::int64_t>(file_bytes)) + " bytes",
                grouped(static_cast<std::int64_t>(header.tokens)) + " tokens and " +
                    grouped(static_cast<std::int64_t>(header.documents)) + " documents");
}

std::vector<std::uint64_t> read_starts(std::span<const std::byte> bytes, const PackedHeader& header,
                                       const Refusal& refuse) {
  std::vector<std::uint64_t> starts(header.documents);
  if (!starts.empty()) {
    std::memcpy(starts.data(), bytes.data() + bytes.size() - starts.size() * 8, starts.size() * 8);
  }
  const bool ordered = starts.empty() ? header.tokens == 0
                                      : starts.front() == 0 && starts.back() < header.tokens &&
                                            std::ranges::is_sorted(starts, std::less_equal<>());
  refuse.unless(ordered, "the documents' starts are out of order");
  return starts;
}

void check_tokens(const Tokens& tokens, std::int64_t vocab_size, const Refusal& refuse) {
  if (vocab_size == std::int64_t{1} << (8 * tokens.width())) return;
  tokens.visit([&](std::int64_t first, std::span<const std::int64_t> block) {
    const auto worst = std::ranges::max_element(block);
    refuse.unless(*worst < vocab_size, "a token id is outside the vocabulary",
                  std::to_string(*worst) + " at token " + std::to_string(first + (worst - block.begin())),
                  "0 to " + std::to_string(vocab_size - 1));
  });
}

// gpt2:98800c36deca, 50,257 tokens
std::string identity(const std::string& digest, std::uint64_t vocab_size) {
  constexpr std::size_t enough = 12;  // of the hash
  return digest.substr(0, digest.find(':') + 1 + enough) + ", " +
         grouped(static_cast<std::int64_t>(vocab_size)) + " tokens";
}

}  // namespace

std::uint64_t padded_to_8(std::uint64_t bytes) { return (bytes + 7) / 8 * 8; }

PackedHeader packed_header(const Tokenizer& tokenizer, std::uint64_t tokens, std::uint64_t documents,
                           std::string_view content_sha256) {
  PackedHeader header{};
  set_text(header.magic, packed_magic);
  header.version = packed_version;
  header.token_width = static_cast<std::uint32_t>(token_width(tokenizer.vocab_size()));
  header.vocab_size = static_cast<std::uint64_t>(tokenizer.vocab_size());
  header.tokens = tokens;
  header.documents = documents;
  set_text(header.tokenizer, tokenizer.digest());
  set_text(header.content_sha256, content_sha256);
  set_text(header.header_sha256, header_check(header));
  return header;
}

PackedText open_packed(const std::filesystem::path& file, const Tokenizer& tokenizer) {
  const Refusal refuse(file);
  MappedFile map(file);
  const std::span<const std::byte> bytes = map.bytes();
  const PackedHeader header = read_header(bytes, refuse);
  const std::string packed = text_of(header.tokenizer), &wanted = tokenizer.digest();
  const std::string kind = packed.substr(0, packed.find(':'));
  refuse.unless(
      packed == wanted, "the file was packed with another tokenizer", identity(packed, header.vocab_size),
      identity(wanted, static_cast<std::uint64_t>(tokenizer.vocab_size())),
      wanted.starts_with(kind + ":")
          ? "name the very files of that tokenizer in data.tokenizer, or pack the text again"
          : "data.tokenizer: " + kind + (kind == "byte" ? "" : ":PATH") + ", or pack the text again");
  check_sizes(header, bytes.size(), refuse);
  refuse.unless(header.vocab_size == static_cast<std::uint64_t>(tokenizer.vocab_size()),
                "the file has another vocabulary than its tokenizer", std::to_string(header.vocab_size),
                std::to_string(tokenizer.vocab_size()));
  std::vector<std::uint64_t> starts = read_starts(bytes, header, refuse);
  PackedText text{Tokens(std::move(map), sizeof header, static_cast<std::int64_t>(header.tokens),
                         static_cast<int>(header.token_width), std::move(starts)),
                  text_of(header.content_sha256)};
  check_tokens(text.tokens, static_cast<std::int64_t>(header.vocab_size), refuse);
  return text;
}

}  // namespace mdnlab
