#include "data/packed.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>

#include "../temporary_folder.h"
#include "base/random.h"
#include "data/pack.h"
#include "sample.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A text of three documents and its packed file.
class Packed : public testing::Test {
 protected:
  Packed() {
    put(text_ / "1.txt", "First words, \xff and more.");
    put(text_ / "2.txt", "second");
    put(text_ / "3.txt", "third \u65e5\u672c");
  }

  void pack(const std::string& tokenizer) {
    words_ = {"tokenizer=" + tokenizer, "split=[0.6, 0.2, 0.2]"};
    counts_ = pack_corpus(data_params(text_, words_), ".", file_);
    bytes_ = read_file(file_);
  }

  PackedHeader header() const {
    PackedHeader header;
    std::memcpy(&header, bytes_.data(), sizeof header);
    return header;
  }

  // The packed file with another header, whose own check is right.
  void save(PackedHeader header) {
    const std::string check = sha256({reinterpret_cast<const char*>(&header), 192});
    std::memcpy(header.header_sha256, check.data(), check.size());
    std::string changed = bytes_;
    std::memcpy(changed.data(), &header, sizeof header);
    put(file_, changed);
  }

  std::string refused() {
    const Error error = error_of([&] { open_packed(file_, tokenizer()); });
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(), testing::StartsWith(file_.string() + ": "));
    return error.what();
  }

  static const Tokenizer& tokenizer() {
    static const auto gpt2 = make_tokenizer(gpt2_words(), ".");
    return *gpt2;
  }

  const TemporaryFolder folder_;
  const std::filesystem::path text_ = folder_ / "text";
  const std::filesystem::path file_ = folder_ / "text.bin";
  std::vector<std::string> words_;
  PackedCounts counts_;
  std::string bytes_;
};

TEST_F(Packed, HoldsTheTextInEveryWidth) {
  for (const auto& [tokenizer, width] : {std::pair<std::string, int>{"byte", 1}, {gpt2_words(), 2}}) {
    pack(tokenizer);
    const Corpus text = open_corpus(text_, words_), packed = open_corpus(file_, words_);
    EXPECT_EQ(packed.tokens().width(), width);
    EXPECT_EQ(counts_.documents, 3);
    EXPECT_EQ(counts_.tokens, text.token_count());
    EXPECT_EQ(packed.tokens().starts(), text.tokens().starts());
    for (const Split split : {Split::train, Split::valid, Split::test}) {
      EXPECT_GT(text.token_count(split), 0);
      EXPECT_EQ(split_tokens(packed, split), split_tokens(text, split));
    }
    EXPECT_EQ(packed.digest(), text.digest());
  }
}

TEST(TokenWidth, FitsTheVocabulary) {
  EXPECT_EQ(token_width(256), 1);
  EXPECT_EQ(token_width(257), 2);
  EXPECT_EQ(token_width(65536), 2);
  EXPECT_EQ(token_width(65537), 4);
  std::vector<std::byte> packed;
  append_tokens(std::vector<std::int32_t>{0, 65536, 2147483647}, 4, packed);
  std::int64_t out[3];
  Tokens(packed, 4, {0}).copy(0, 3, out);
  EXPECT_THAT(out, ElementsAre(0, 65536, 2147483647));
}

TEST_F(Packed, AnotherTokenizerIsRefusedByName) {
  pack("byte");
  EXPECT_THAT(
      refused(),
      HasSubstr("packed with another tokenizer; found byte:1c31626f568a, 256 tokens, expected gpt2:"));
  EXPECT_THAT(refused(), HasSubstr("; data.tokenizer: byte, or pack the text again"));
}

TEST_F(Packed, DamageOfEachPartIsNamed) {
  pack(gpt2_words());
  const PackedHeader good = header();

  put(file_, bytes_.substr(0, 255));
  EXPECT_THAT(refused(),
              HasSubstr("too short for a packed token file; found 255 bytes, expected at least 256"));
  put(file_, "");
  EXPECT_THAT(refused(), HasSubstr("too short"));
  put(file_, std::string(4096, 'x'));
  EXPECT_THAT(refused(), HasSubstr("this is no packed token file"));

  PackedHeader changed = good;
  changed.version = 2;
  save(changed);
  EXPECT_THAT(refused(), HasSubstr("another version; found 2, expected 1; it was written by a newer mdnlab"));

  std::string flipped = bytes_;
  flipped[26] ^= 1;  // in the token count
  put(file_, flipped);
  EXPECT_THAT(refused(), HasSubstr("the header is damaged: its SHA-256 differs"));

  put(file_, bytes_ + "x");
  EXPECT_THAT(refused(), HasSubstr("the file's length is not what its header says"));
  put(file_, bytes_.substr(0, bytes_.size() - 1));
  EXPECT_THAT(refused(), HasSubstr("the file's length is not what its header says"));
  for (const std::uint64_t many : {std::uint64_t{1} << 40, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    changed = good;
    changed.tokens = many;
    save(changed);
    EXPECT_THAT(refused(), HasSubstr("the file's length is not what its header says"));
    changed = good;
    changed.documents = many;
    save(changed);
    EXPECT_THAT(refused(), HasSubstr("the file's length is not what its header says"));
  }
  for (const std::uint32_t width : {0u, 1u, 3u, 4u, 1u << 31}) {
    changed = good;
    changed.token_width = width;
    save(changed);
    EXPECT_THAT(refused(), HasSubstr("the header contradicts itself"));
  }

  changed = good;
  changed.vocab_size = 60000;
  save(changed);
  EXPECT_THAT(refused(), HasSubstr("another vocabulary than its tokenizer; found 60000, expected 50257"));

  std::string outside = bytes_;
  outside[256 + 2 * 2] = '\xff';
  outside[256 + 2 * 2 + 1] = '\xff';
  put(file_, outside);
  EXPECT_THAT(refused(),
              HasSubstr("a token id is outside the vocabulary; found 65535 at token 2, expected 0 to "
                        "50256"));

  std::string unordered = bytes_;
  unordered[bytes_.size() - 8] = 0;  // the last document's start
  put(file_, unordered);
  EXPECT_THAT(refused(), HasSubstr("the documents' starts are out of order"));
}

TEST_F(Packed, ATokenChangedWithinTheVocabularyIsSeenByTheDigest) {
  pack("byte");
  bytes_[256] ^= 1;
  put(file_, bytes_);
  const Corpus corpus = open_corpus(file_, words_);
  const Error error = error_of([&] { corpus.digest(); });
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_THAT(
      error.what(),
      HasSubstr(file_.string() + ": the packed tokens are damaged: their SHA-256 differs from the header's"));
}

// Cuts, flips, overwrites or lengthens.
std::string damaged_copy(std::string bytes, Random& random) {
  switch (random.below(4)) {
    case 0: bytes.resize(random.below(bytes.size())); break;
    case 1: bytes[random.below(bytes.size())] ^= static_cast<char>(1 << random.below(8)); break;
    case 2: {
      const std::uint64_t at = random.below(bytes.size());
      for (std::uint64_t i = at; i < std::min<std::uint64_t>(at + 8, bytes.size()); ++i) bytes[i] = '\xff';
      break;
    }
    default: bytes.insert(random.below(bytes.size()), 1 + random.below(16), '\0');
  }
  return bytes;
}

TEST_F(Packed, NoDamageDoesMoreThanThrowAnError) {
  Random random({20, 3});
  for (const std::string& words : {std::string("byte"), gpt2_words()}) {
    const auto tokenizer = make_tokenizer(words, ".");
    pack(words);
    const std::string content = open_packed(file_, *tokenizer).tokens.digest();
    int refusals = 0, rounds = 0;
    while (rounds < 400) {
      const std::string damaged = damaged_copy(bytes_, random);
      if (damaged == bytes_) continue;
      ++rounds;
      put(file_, damaged);
      try {
        const PackedText text = open_packed(file_, *tokenizer);
        text.tokens.visit([&](std::int64_t, std::span<const std::int64_t> block) {
          for (const std::int64_t token : block) EXPECT_LT(token, tokenizer->vocab_size());
        });
        // Only the padding between tokens and starts may differ unseen.
        const bool seen = text.tokens.digest() != text.content_sha256;
        EXPECT_TRUE(seen || text.tokens.digest() == content) << words << ", round " << rounds;
        refusals += seen;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::usage);
        EXPECT_THAT(error.what(), HasSubstr("text.bin"));
        ++refusals;
      }
    }
    EXPECT_GT(refusals, 350);
  }
}

TEST_F(Packed, AFailedPackLeavesNothingBehind) {
  const auto refused = [&](const std::filesystem::path& text, const std::filesystem::path& output) {
    return error_of([&] { pack_corpus(data_params(text), ".", output); });
  };
  EXPECT_THAT(refused(text_, folder_ / "text.tokens").what(), HasSubstr("a packed file's name ends in .bin"));
  EXPECT_THAT(refused(folder_ / "missing", file_).what(), HasSubstr("is not there"));
  EXPECT_THAT(refused(text_, folder_ / "no/such/folder.bin").what(),
              HasSubstr("cannot write the packed file"));
  put(folder_ / "empty.txt", "");
  EXPECT_THAT(refused(folder_ / "empty.txt", file_).what(), HasSubstr("is empty"));
  pack("byte");
  EXPECT_THAT(refused(file_, folder_ / "again.bin").what(), HasSubstr("is packed already"));

  put(text_ / "4.jsonl", "{broken\n");
  EXPECT_THAT(refused(text_, file_).what(), HasSubstr("4.jsonl:1"));
  EXPECT_EQ(read_file(file_), bytes_) << "the old file stays";

  const std::string part = "full.bin.part-" + std::to_string(getpid());
  std::filesystem::create_symlink("/dev/full", folder_ / part);
  EXPECT_EQ(refused(folder_ / "text/1.txt", folder_ / "full.bin").code(), Code::store);

  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    left.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(left, testing::UnorderedElementsAre("text", "text.bin", "empty.txt"));
}

}  // namespace
}  // namespace mdnlab
