#include "data/sentencepiece_tokenizer.h"

#include <gmock/gmock.h>

#ifdef HAVE_SENTENCEPIECE
#include <sentencepiece_processor.h>
#endif

#include "../temporary_folder.h"
#include "base/file.h"
#include "base/random.h"
#include "sample.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;

std::filesystem::path model_file() {
  return source_folder() / "experiments/data/sentencepiece/tokenizer.model";
}

TEST(SentencePieceModule, AMissingLibraryIsAMachineErrorThatSaysHowToGetIt) {
  const Error error = error_of([] { open_sentencepiece("/no/such/mdnlab_sentencepiece.so"); });
  EXPECT_EQ(error.code(), Code::machine);
  EXPECT_THAT(error.what(), HasSubstr("SentencePiece tokenizers cannot be used on this machine"));
  EXPECT_THAT(error.what(), HasSubstr("apt-get install libsentencepiece-dev"));
}

TEST(SentencePieceModule, AnotherModuleIsRefused) {
  const Error error = error_of([] { open_sentencepiece("libm.so.6"); });
  EXPECT_EQ(error.code(), Code::machine);
  EXPECT_THAT(error.what(), HasSubstr("libm.so.6: "));
  EXPECT_THAT(error.what(), HasSubstr("another version of mdnlab"));
}

#ifdef HAVE_SENTENCEPIECE

const Tokenizer& mistral() {
  static const auto tokenizer = make_tokenizer("sentencepiece:" + model_file().string(), ".");
  return *tokenizer;
}

TEST(SentencePieceTokenizer, GivesTheIdsOfTheLibraryItself) {
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.Load(model_file().string()).ok());
  ASSERT_EQ(mistral().vocab_size(), library.GetPieceSize());
  for (const std::string text :
       {"", "Hello world", " two  spaces ", "na\u00efve caf\u00e9 \u65e5\u672c\u8a9e", "\U0001F600 emoji",
        "def f(x):\n\treturn x**2\n"}) {
    std::vector<int> expected;
    ASSERT_TRUE(library.Encode(text, &expected).ok());
    EXPECT_EQ(mistral().encode(text), expected) << text;
    EXPECT_EQ(mistral().decode(mistral().encode(text)), text);
  }
}

TEST(SentencePieceTokenizer, KnowsItsVocabulary) {
  EXPECT_EQ(mistral().vocab_size(), 32000);
  EXPECT_EQ(mistral().end_of_text(), 2);
  // Published for this model: 0 unknown, 1 begin, 2 end, 3 … 258 bytes, then pieces.
  EXPECT_EQ(mistral().encode("Hello world"), (std::vector<std::int32_t>{22557, 1526}));
  EXPECT_EQ(mistral().token_bytes(0), 0);
  EXPECT_EQ(mistral().token_bytes(1), 0);
  EXPECT_EQ(mistral().token_bytes(3), 1);
  EXPECT_EQ(mistral().token_bytes(22557), 6) << "the space that the model puts before a text counts";
  EXPECT_EQ(mistral().decode(std::vector<std::int32_t>{22557, 2, 1526}), "Hello world");
  EXPECT_EQ(mistral().digest(), "sentencepiece:" + sha256_file(model_file()));
  EXPECT_THROW(mistral().decode(std::vector<std::int32_t>{32000}), Error);
}

TEST(SentencePieceTokenizer, CountsTheBytesOfText) {
  const std::string text =
      read_file(source_folder() / "experiments/data/tinyshakespeare.txt").substr(0, 20'000);
  const std::vector<std::int32_t> tokens = mistral().encode(text);
  std::int64_t bytes = 0;
  for (const std::int32_t token : tokens) bytes += mistral().token_bytes(token);
  EXPECT_EQ(bytes, 20'001) << "the text and the space before it";
  EXPECT_EQ(mistral().decode(tokens), text);
}

TEST(SentencePieceTokenizer, IllFormedTextBecomesTheReplacementCharacter) {
  EXPECT_EQ(mistral().decode(mistral().encode("a\xff"
                                              "b")),
            "a\ufffdb");
}

TEST(SentencePieceTokenizer, AFileThatIsNoModelIsRefusedByName) {
  const TemporaryFolder folder;
  const std::string model = read_file(model_file());
  Random random({20, 2});
  std::vector<std::string> contents = {"", "no model", std::string(1000, '\xff')};
  for (int i = 0; i < 20; ++i) contents.push_back(model.substr(0, random.below(model.size())));
  int refused = 0;
  for (const std::string& content : contents) {
    put(folder / "bad.model", content);
    try {
      SentencePieceTokenizer(folder / "bad.model").encode("text");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::usage);
      EXPECT_THAT(error.what(),
                  HasSubstr((folder / "bad.model").string() + ": this is no SentencePiece model"));
      ++refused;
    }
  }
  EXPECT_EQ(refused, static_cast<int>(contents.size()));
}

#endif

}  // namespace
}  // namespace mdnlab
