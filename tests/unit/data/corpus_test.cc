#include "data/corpus.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "../temporary_folder.h"
#include "base/file.h"
#include "data/corpus_info.h"
#include "sample.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string all_text(const Corpus& corpus) {
  std::string text;
  for (const Split split : {Split::train, Split::valid, Split::test}) {
    for (const std::int64_t token : split_tokens(corpus, split)) {
      text += corpus.tokenizer().decode(std::vector<std::int32_t>{static_cast<std::int32_t>(token)});
    }
  }
  return text;
}

TEST(Corpus, SplitsAreContiguousAndDisjoint) {
  const TemporaryFolder folder;
  std::string text(1003, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i % 251);
  put(folder / "a.txt", text);
  const Corpus corpus = open_corpus(folder / "a.txt");
  EXPECT_EQ(corpus.token_count(Split::train), 903);  // round(902.7), round(952.85) − 903, the rest
  EXPECT_EQ(corpus.token_count(Split::valid), 50);
  EXPECT_EQ(corpus.token_count(Split::test), 50);
  EXPECT_EQ(all_text(corpus), text);

  const Corpus whole = open_corpus(folder / "a.txt", {"split=[1, 0, 0]"});
  EXPECT_EQ(whole.token_count(Split::train), 1003);
  EXPECT_EQ(whole.token_count(Split::valid), 0);

  put(folder / "long.txt", std::string(2'000'000, 'x'));
  const Corpus rounded = open_corpus(folder / "long.txt", {"split=[0.5, 0.5000009, 0]"});
  EXPECT_EQ(rounded.token_count(Split::train) + rounded.token_count(Split::valid), 2'000'000);
  EXPECT_EQ(rounded.token_count(Split::test), 0) << "shares are rounded, never beyond the text";
}

TEST(Corpus, CopiesWithinASplitOnly) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "0123456789");
  const Corpus corpus = open_corpus(folder / "a.txt", {"split=[0.5, 0.3, 0.2]"});
  std::int64_t out[3] = {-7, -7, -7};
  corpus.copy(Split::valid, 1, 2, out);
  EXPECT_THAT(out, ElementsAre('6', '7', -7));
  EXPECT_THROW(corpus.copy(Split::valid, 2, 2, out), std::out_of_range);
  EXPECT_THROW(corpus.copy(Split::valid, -1, 1, out), std::out_of_range);
  EXPECT_THROW(corpus.copy(Split::valid, 0, INT64_MAX, out), std::out_of_range);
  EXPECT_THAT(out, ElementsAre('6', '7', -7));
}

TEST(Corpus, SharesThatDoNotFitAreRefused) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "0123456789");
  for (const char* words : {"split=[0.9, 0.05]", "split=[0.9, 0.05, 0.06]", "split=[0.5, 0.2, 0.2]"}) {
    const Error error = error_of([&] { open_corpus(folder / "a.txt", {words}); });
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(), HasSubstr("three numbers that sum to 1: train, valid, test")) << words;
  }
  EXPECT_THROW(open_corpus(folder / "a.txt", {"split=[1.5, -0.25, -0.25]"}), Error);
}

TEST(Corpus, AFolderIsReadInTheOrderOfItsPaths) {
  const TemporaryFolder folder;
  put(folder / "text/b.txt", "bb");
  put(folder / "text/a/z.txt", "az");
  put(folder / "text/a/k.jsonl", "{\"text\": \"k1\"}\n\n{\"text\": \"\"}\n{\"text\": \"k2\"}");
  put(folder / "text/c.txt", "");
  put(folder / "text/notes.md", "not read");
  const Corpus corpus = open_corpus(folder / "text", {"split=[1, 0, 0]"});
  EXPECT_EQ(all_text(corpus), "k1k2azbb");
  EXPECT_EQ(corpus.document_count(), 4) << "files and lines without text are no documents";
  EXPECT_THAT(corpus.document_starts(Split::train, 0, 8), ElementsAre(0, 2, 4, 6));
}

TEST(Corpus, DocumentStartsCountFromTheRange) {
  const TemporaryFolder folder;
  put(folder / "a.jsonl", "{\"text\": \"aaa\"}\n{\"text\": \"bbbb\"}\n{\"text\": \"ccc\"}\n");
  const std::vector<std::string> halves = {"split=[0.5, 0.3, 0.2]"};  // aaabb | bbc | cc
  const Corpus corpus = open_corpus(folder / "a.jsonl", halves);
  EXPECT_THAT(corpus.document_starts(Split::train, 0, 5), ElementsAre(0, 3));
  EXPECT_THAT(corpus.document_starts(Split::train, 0, 3), ElementsAre(0));
  EXPECT_THAT(corpus.document_starts(Split::train, 1, 2), IsEmpty());
  EXPECT_THAT(corpus.document_starts(Split::train, 1, 3), ElementsAre(2));
  EXPECT_THAT(corpus.document_starts(Split::train, 3, 2), ElementsAre(0));
  EXPECT_THAT(corpus.document_starts(Split::valid, 0, 3), ElementsAre(0, 2))
      << "its beginning, amid a document";
  EXPECT_THAT(corpus.document_starts(Split::test, 0, 2), ElementsAre(0));
  EXPECT_THAT(corpus.document_starts(Split::train, 0, 0), IsEmpty());

  const Corpus joined = open_corpus(folder / "a.jsonl", {halves[0], "documents=concatenate"});
  EXPECT_THAT(joined.document_starts(Split::train, 0, 5), ElementsAre(0));
  EXPECT_THAT(joined.document_starts(Split::train, 1, 4), IsEmpty());
  EXPECT_EQ(all_text(joined), all_text(corpus));
}

TEST(Corpus, ABrokenLineIsNamedByFileAndLine) {
  const TemporaryFolder folder;
  const std::string file = (folder / "a.jsonl").string();
  const auto refused = [&](std::string_view content, std::vector<std::string> words = {}) {
    put(file, content);
    const Error error = error_of([&] { open_corpus(file, words); });
    EXPECT_EQ(error.code(), Code::usage);
    return std::string(error.what());
  };
  const std::string good = "{\"text\": \"good\"}\n";
  EXPECT_THAT(refused(good + good + "{\"text\": \"cut\n"), HasSubstr(file + ":3:14: this line is no JSON"));
  EXPECT_THAT(refused(good + "{\"text\": \"\xff\"}\n"), HasSubstr(file + ":2:11: this line is no JSON"));
  EXPECT_THAT(refused(good + "{\"text\": \"a\"} {\n"), HasSubstr(file + ":2:"));
  EXPECT_THAT(refused(good + std::string(100'000, '[') + "\n"), HasSubstr(file + ":2:"));
  EXPECT_THAT(refused("\n" + good + "[1]\n"),
              HasSubstr(file + ":3: this line is no document; found array, expected an object with a string "
                               "under 'text'"));
  EXPECT_THAT(refused("{\"body\": \"a\", \"id\": 1}\n"),
              HasSubstr(file + ":1: this document has no 'text'; found keys body, id"));
  EXPECT_THAT(refused("{\"text\": 5}\n"), HasSubstr(file + ":1: 'text' is no text; found number"));
  EXPECT_THAT(refused(good + "{\"text\": \"a\", \"n\": 1e400}\n"),
              HasSubstr(file + ":2: this line holds a number beyond every double"));
  EXPECT_THAT(refused(good, {"text_field=body"}), HasSubstr("this document has no 'body'"));
  EXPECT_LT(refused("{\"text\": \"" + std::string(100'000, 'x')).size(), 400u)
      << "no message repeats a long line";

  put(file, "{\"body\": \"a\\u00e9\", \"text\": 5}\r\n");
  EXPECT_EQ(all_text(open_corpus(file, {"text_field=body"})), "a\u00e9");
}

TEST(Corpus, TextThatIsNotThereOrEmptyIsRefused) {
  const TemporaryFolder folder;
  const auto refused = [](const std::filesystem::path& path) {
    const Error error = error_of([&] { open_corpus(path); });
    EXPECT_EQ(error.code(), Code::usage) << path;
    return std::string(error.what());
  };
  const std::string missing = (folder / "missing.txt").string();
  EXPECT_THAT(refused(missing), HasSubstr("the text '" + missing + "' is not there"));
  EXPECT_THAT(refused(missing), HasSubstr("relative paths start at"));
  put(folder / "empty.txt", "");
  EXPECT_THAT(refused(folder / "empty.txt"),
              HasSubstr("the text '" + (folder / "empty.txt").string() + "' is empty"));
  put(folder / "empty.jsonl", "\n{\"text\": \"\"}\n");
  EXPECT_THAT(refused(folder / "empty.jsonl"), HasSubstr("is empty"));
  std::filesystem::create_directory(folder / "nothing");
  EXPECT_THAT(refused(folder / "nothing"), HasSubstr("nothing: the folder holds no .txt or .jsonl file"));
  put(folder / "a.csv", "x");
  EXPECT_THAT(refused(folder / "a.csv"),
              HasSubstr("a.csv: this kind of file is not read as text; found '.csv'"));
  std::filesystem::create_directory(folder / "folder.bin");
  EXPECT_THAT(refused(folder / "folder.bin"), HasSubstr("folder.bin"));
}

TEST(Corpus, ARelativePathMayStartAtTheYamlFilesFolder) {
  const TemporaryFolder folder;
  put(folder / "texts/only_here.txt", "found");
  const Corpus corpus(data_params("texts/only_here.txt"), folder.path());
  EXPECT_EQ(all_text(corpus), "found");
}

TEST(Corpus, TheDigestFollowsContentAndTokenizerNotPaths) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "some text");
  put(folder / "elsewhere/b.txt", "some text");
  put(folder / "other.txt", "some texT");
  put(folder / "documents/1.txt", "some ");
  put(folder / "documents/2.txt", "text");
  const std::string digest = open_corpus(folder / "a.txt").digest();
  EXPECT_THAT(digest, testing::MatchesRegex("[0-9a-f]{64}"));
  EXPECT_EQ(open_corpus(folder / "elsewhere/b.txt").digest(), digest);
  EXPECT_EQ(open_corpus(folder / "elsewhere").digest(), digest) << "mapped or read into memory";
  EXPECT_NE(open_corpus(folder / "other.txt").digest(), digest);
  EXPECT_NE(open_corpus(folder / "documents").digest(), digest) << "the same bytes, cut into other documents";
  EXPECT_NE(open_corpus(folder / "a.txt", {"tokenizer=" + gpt2_words()}).digest(), digest);
}

TEST(CorpusInfo, CountsTinyshakespeare) {
  const std::filesystem::path file = source_folder() / "experiments/data/tinyshakespeare.txt";
  ASSERT_EQ(sha256_file(file), "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed");
  const Corpus corpus = open_corpus(file);
  const CorpusInfo info = corpus_info(corpus);
  EXPECT_EQ(info.text_bytes, 1'115'394);
  EXPECT_EQ(info.tokens, 1'115'394);
  EXPECT_EQ(info.documents, 1);
  EXPECT_THAT(info.split_tokens, ElementsAre(1'003'855, 55'769, 55'770));
  EXPECT_EQ(info.vocab_size, 256);
  EXPECT_EQ(info.used_vocab, 65);
  EXPECT_NEAR(info.unigram_bits_per_byte, 4.77, 0.02);
  EXPECT_EQ(info.digest, corpus.digest());

  const CorpusInfo pairs = corpus_info(open_corpus(file, {"tokenizer=" + gpt2_words()}));
  EXPECT_EQ(pairs.tokens, 338'025);
  EXPECT_EQ(pairs.text_bytes, 1'115'394) << "the tokens stand for every byte of the text once";
  EXPECT_LT(pairs.unigram_bits_per_byte, info.unigram_bits_per_byte);
}

TEST(CorpusInfo, EntropyIsThatOfTheCounts) {
  const TemporaryFolder folder;
  put(folder / "a.txt", "aaaabbcd");
  EXPECT_DOUBLE_EQ(corpus_info(open_corpus(folder / "a.txt")).unigram_bits_per_byte, 1.75);
}

}  // namespace
}  // namespace mdnlab
