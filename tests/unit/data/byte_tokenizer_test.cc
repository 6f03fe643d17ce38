#include <gmock/gmock.h>

#include "data/tokenizer.h"
#include "sample.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ByteTokenizer, ATokenIsAByte) {
  const auto tokenizer = make_tokenizer("byte", ".");
  EXPECT_EQ(tokenizer->vocab_size(), 256);
  EXPECT_THAT(tokenizer->encode(std::string_view("A\0\xff", 3)), ElementsAre(65, 0, 255));
  std::string every(256, '\0');
  std::iota(every.begin(), every.end(), '\0');
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(every)), every);
  for (std::int32_t token = 0; token < 256; ++token) EXPECT_EQ(tokenizer->token_bytes(token), 1);
  EXPECT_FALSE(tokenizer->end_of_text());
  EXPECT_THAT(tokenizer->digest(), testing::MatchesRegex("byte:[0-9a-f]{64}"));
}

TEST(ByteTokenizer, RefusesIdsOutsideTheVocabulary) {
  const auto tokenizer = make_tokenizer("byte", ".");
  for (const std::int32_t token : {-1, 256, 1 << 30}) {
    const Error error = error_of([&] { tokenizer->decode(std::vector<std::int32_t>{65, token}); });
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(),
                HasSubstr("outside the vocabulary; found " + std::to_string(token) + ", expected 0 to 255"));
    EXPECT_THROW(tokenizer->token_bytes(token), Error);
  }
}

TEST(MakeTokenizer, NamesWhatIsWrongAndWhere) {
  const Place place{"sweep.yaml", 7, 14};
  const auto refused = [&](std::string_view words) {
    const Error error = error_of([&] { make_tokenizer(words, ".", place); });
    EXPECT_EQ(error.code(), Code::usage) << words;
    return std::string(error.what());
  };
  EXPECT_THAT(refused("bytes"), HasSubstr("sweep.yaml:7:14: unknown tokenizer; found 'bytes', expected byte, "
                                          "gpt2:FOLDER or sentencepiece:FILE; did you mean 'byte'?"));
  EXPECT_THAT(refused("gtp2:x"), HasSubstr("did you mean 'gpt2'?"));
  EXPECT_THAT(refused(""), HasSubstr("unknown tokenizer; found ''"));
  EXPECT_THAT(refused("byte:x"), HasSubstr("unknown tokenizer"));
  EXPECT_THAT(refused("gpt2"), HasSubstr("names no files"));
  EXPECT_THAT(refused("sentencepiece:"), HasSubstr("names no files"));
  EXPECT_THAT(refused("gpt2:/no/such/folder"),
              HasSubstr("sweep.yaml:7:14: the tokenizer '/no/such/folder' is not there"));
}

}  // namespace
}  // namespace mdnlab
