#include "data/text_stream.h"

#include <gtest/gtest.h>

#include "data/byte_tokenizer.h"

namespace mdnlab {
namespace {

// What comes out at each byte of `text`, parted by |.
std::string streamed(std::string_view text) {
  const ByteTokenizer bytes;
  TextStream stream(bytes, 'x');
  std::string out;
  for (const std::int32_t token : bytes.encode(text)) out += stream.add(token) + "|";
  return out + stream.end();
}

TEST(TextStream, GivesACharacterWithItsLastByte) {
  EXPECT_EQ(streamed("ab"), "a|b|");
  EXPECT_EQ(streamed("é"), "|é|");
  EXPECT_EQ(streamed("a€b"), "a|||€|b|");
  EXPECT_EQ(streamed("🦉!"), "|||🦉|!|");
}

TEST(TextStream, ReplacesBytesThatBelongToNoCharacter) {
  EXPECT_EQ(streamed("\xe2\x82"
                     "a"),
            "||\ufffd\ufffda|");
  EXPECT_EQ(streamed("\xff\x80z"), "\ufffd|\ufffd|z|");
  EXPECT_EQ(streamed("a\xf0\x9f"), "a|||\ufffd\ufffd");
}

TEST(TextStream, ReplacesInvalidBytesOfAText) {
  EXPECT_EQ(replace_invalid_utf8("héllo"), "héllo");
  EXPECT_EQ(replace_invalid_utf8("h\xc3(\xa9"), "h\ufffd(\ufffd");
}

}  // namespace
}  // namespace mdnlab
