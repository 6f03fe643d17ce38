#include "data/gpt2_tokenizer.h"

#include <gmock/gmock.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "../temporary_folder.h"
#include "base/file.h"
#include "base/random.h"
#include "data/words.h"
#include "sample.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Tokenizer& gpt2() {
  static const auto tokenizer = make_tokenizer(gpt2_words(), ".");
  return *tokenizer;
}

void expect_round_trip(const std::string& text) {
  const std::vector<std::int32_t> tokens = gpt2().encode(text);
  ASSERT_EQ(gpt2().decode(tokens), text);
  std::int64_t bytes = 0;
  for (const std::int32_t token : tokens) bytes += gpt2().token_bytes(token);
  ASSERT_EQ(bytes, static_cast<std::int64_t>(text.size()));
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  Words reader(text);
  for (std::string_view word; reader.next(word);) words.emplace_back(word);
  return words;
}

TEST(Gpt2Tokenizer, GivesThePublishedIdsOfEveryGoldCase) {
  const auto cases = nlohmann::json::parse(read_file(source_folder() / "tests/data/gpt2_parity_cases.json"));
  ASSERT_EQ(cases.size(), 13u);
  for (const auto& item : cases) {
    const auto text = item.at("text").get<std::string>();
    EXPECT_EQ(gpt2().encode(text), item.at("ids").get<std::vector<std::int32_t>>()) << text.substr(0, 80);
    EXPECT_EQ(gpt2().encode(text), gpt2().encode(text)) << "the second time, from the words met before";
    expect_round_trip(text);
  }
}

TEST(Gpt2Tokenizer, KnowsItsVocabulary) {
  EXPECT_EQ(gpt2().vocab_size(), 50257);
  EXPECT_EQ(gpt2().end_of_text(), 50256);
  EXPECT_EQ(gpt2().token_bytes(50256), 0);
  EXPECT_EQ(gpt2().decode(std::vector<std::int32_t>{15496, 50256, 995}), "Hello world");
  EXPECT_EQ(gpt2().token_bytes(15496), 5);
  EXPECT_EQ(gpt2().token_bytes(995), 6) << "the space before a word counts";
  EXPECT_THAT(gpt2().digest(), testing::MatchesRegex("gpt2:[0-9a-f]{64}"));
  EXPECT_THROW(gpt2().decode(std::vector<std::int32_t>{50257}), Error);
  EXPECT_GT(gpt2().encode("<|endoftext|>").size(), 1u) << "written out, it is text";
}

TEST(Gpt2Tokenizer, EveryByteStringRoundTrips) {
  Random random({20, 1});
  for (int round = 0; round < 300; ++round) {
    std::string text;
    const std::uint64_t length = random.below(200);
    const std::uint64_t kind = random.below(3);
    while (text.size() < length) {
      if (kind == 0) text += static_cast<char>(random.below(256));                       // mostly ill-formed
      if (kind == 1) text += "\xe6\x97\xa5 \xf0\x9f\x98\x80\xc3\xa9"[random.below(10)];  // cut characters
      if (kind == 2) text += " \n\tab1'sX."[random.below(10)];
    }
    expect_round_trip(text);
  }
  expect_round_trip(std::string("\0\0", 2));
  expect_round_trip("\xed\xa0\x80 a surrogate, \xc0\x80 an overlong, \xf5\x80\x80\x80 beyond, \xe6\x97");
}

TEST(Gpt2Tokenizer, ALongWordTakesNoSquareTime) {
  const std::clock_t start = std::clock();
  expect_round_trip(std::string(1 << 18, 'a'));
  expect_round_trip(std::string(1 << 18, ' '));
  expect_round_trip(std::string(1 << 18, '\x80'));
  EXPECT_LT(std::clock() - start, 20 * CLOCKS_PER_SEC);
}

TEST(Gpt2Tokenizer, ReadsTwoMegabytesASecond) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "not a measurement under a sanitizer";
#endif
  const std::string text = read_file(source_folder() / "experiments/data/tinyshakespeare.txt");
  ASSERT_EQ(text.size(), 1'115'394u);
  const auto fresh = make_tokenizer(gpt2_words(), ".");
  const std::clock_t start = std::clock();  // processor time: other programs do not count
  const std::vector<std::int32_t> tokens = fresh->encode(text);
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  RecordProperty("megabytes_per_second", std::to_string(text.size() / 1e6 / seconds));
  EXPECT_EQ(tokens.size(), 338'025u) << "the count that others publish for this text";
  EXPECT_GT(text.size() / 1e6 / seconds, 2.0);
  EXPECT_EQ(fresh->decode(tokens), text);
}

TEST(Words, AreCutAsPublished) {
  EXPECT_THAT(words_of("I'll go,  now\n\n x12  "),
              ElementsAre("I", "'ll", " go", ",", " ", " now", "\n\n", " x", "12", "  "));
  EXPECT_THAT(words_of("'s'S 'tis"), ElementsAre("'s", "'", "S", " '", "tis"));
  EXPECT_THAT(words_of("a\u00a0b\u3000 c"), ElementsAre("a", "\u00a0", "b", "\u3000", " c"))
      << "no-break and ideographic spaces are white space, but only a plain one joins a word";
  EXPECT_THAT(words_of("a\u180e"), ElementsAre("a", "\u180e"));
  EXPECT_THAT(words_of("\u180e!"), ElementsAre("\u180e!")) << "not white space since Unicode 6.3";
  EXPECT_THAT(words_of("\xff\xfe ok\xe6\x97"), ElementsAre("\xff", "\xfe", " ok", "\xe6", "\x97"));
  EXPECT_THAT(words_of(""), ElementsAre());
}

// A tokenizer of 256 bytes in the published alphabet, two merges and an end of text.
class Gpt2Files : public testing::Test {
 protected:
  Gpt2Files() {
    std::vector<std::string> written;
    int other = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
      const int character = printable ? byte : other++;
      std::string text;
      if (character < 128) {
        text += static_cast<char>(character);
      } else {
        text += static_cast<char>(0xc0 | character >> 6);
        text += static_cast<char>(0x80 | (character & 63));
      }
      ids_[text] = byte;
    }
    ids_["ab"] = 256;
    ids_["abc"] = 257;
    ids_["<|endoftext|>"] = 258;
  }

  void save() {
    put(folder_ / "encoder.json", ids_.dump());
    put(folder_ / "vocab.bpe", merges_);
  }

  std::string refused() {
    save();
    const Error error = error_of([&] { Gpt2Tokenizer{folder_.path()}; });
    EXPECT_EQ(error.code(), Code::usage);
    return error.what();
  }

  TemporaryFolder folder_;
  nlohmann::json ids_ = nlohmann::json::object();
  std::string merges_ = "#version: 0.2\na b\nab c\n";
};

TEST_F(Gpt2Files, AreReadAndDigested) {
  save();
  const Gpt2Tokenizer tokenizer(folder_.path());
  EXPECT_EQ(tokenizer.vocab_size(), 259);
  EXPECT_THAT(tokenizer.encode("abcab b"), ElementsAre(257, 256, ' ', 'b'));
  EXPECT_EQ(tokenizer.end_of_text(), 258);

  TemporaryFolder elsewhere;
  put(elsewhere / "encoder.json", ids_.dump());
  put(elsewhere / "vocab.bpe", merges_);
  EXPECT_EQ(Gpt2Tokenizer(elsewhere.path()).digest(), tokenizer.digest()) << "the same files elsewhere";
  put(elsewhere / "vocab.bpe", "#version: 0.2\na b\n");
  EXPECT_NE(Gpt2Tokenizer(elsewhere.path()).digest(), tokenizer.digest()) << "another file";
}

TEST_F(Gpt2Files, AMissingFileIsNamed) {
  put(folder_ / "encoder.json", ids_.dump());
  const Error error = error_of([&] { Gpt2Tokenizer{folder_.path()}; });
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_THAT(error.what(), HasSubstr((folder_ / "vocab.bpe").string()));
}

TEST_F(Gpt2Files, AnEncoderOfAnotherShapeIsRefused) {
  const nlohmann::json good = ids_;
  ids_ = {1, 2};
  EXPECT_THAT(refused(), HasSubstr("encoder.json: this is no JSON map of tokens to ids"));
  ids_ = good;
  ids_["ab"] = 257;
  EXPECT_THAT(refused(), HasSubstr("is not a number of its own in 0 to 258; found 257"));
  ids_ = good;
  ids_["ab"] = 9000;
  EXPECT_THAT(refused(), HasSubstr("the id of 'ab' is not a number of its own in 0 to 258; found 9000"));
  ids_ = good;
  ids_["ab"] = "one";
  EXPECT_THAT(refused(), HasSubstr("found \"one\""));
  ids_ = good;
  ids_.erase("Z");
  ids_["\u65e5"] = 'Z';
  EXPECT_THAT(refused(), HasSubstr("a token has a character that stands for no byte; found '\u65e5'"));
  ids_ = good;
  ids_.erase("Z");
  ids_["ZZ"] = 'Z';
  EXPECT_THAT(refused(), HasSubstr("no token stands for byte 90"));
}

TEST_F(Gpt2Files, AMergeThatDoesNotFitIsNamedByLine) {
  merges_ = "#version: 0.2\na b\nab c d\n";
  EXPECT_THAT(refused(),
              HasSubstr("vocab.bpe:3: a merge is two tokens with a space between; found 'ab c d'"));
  merges_ = "#version: 0.2\na b\nb c\n";
  EXPECT_THAT(refused(), HasSubstr("vocab.bpe:3: encoder.json lacks a token of this merge or its result"));
  merges_ = "a b\na b\n";
  EXPECT_THAT(refused(), HasSubstr("vocab.bpe:2: this merge was there before"));
}

}  // namespace
}  // namespace mdnlab
