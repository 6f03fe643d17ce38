#include "data/windows.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "../temporary_folder.h"
#include "sample.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Tokens that tell where they stand: two bytes of text, position high and low.
class WindowsOfPositions : public testing::Test {
 protected:
  Corpus positions(std::int64_t count, const std::string& split = "split=[1, 0, 0]") {
    std::string text;
    for (std::int64_t i = 0; i < count; ++i) text += static_cast<char>(i);
    put(folder_ / "a.txt", text);
    return open_corpus(folder_ / "a.txt", {split});
  }

  struct Window {
    std::vector<std::int64_t> tokens;
    std::vector<std::int32_t> starts;
    bool operator==(const Window&) const = default;
  };

  static Window training(Windows& windows, std::int64_t index) {
    Window window{std::vector<std::int64_t>(static_cast<std::size_t>(windows.seq_len() + 1)), {}};
    windows.training(index, window.tokens.data(), window.starts);
    return window;
  }

  static Window sequential(const Windows& windows, std::int64_t index) {
    Window window{std::vector<std::int64_t>(static_cast<std::size_t>(windows.seq_len() + 1)), {}};
    windows.sequential(index, window.tokens.data(), window.starts);
    return window;
  }

  const TemporaryFolder folder_;
};

TEST_F(WindowsOfPositions, AnEpochTakesEachTokenOnce) {
  for (const std::int64_t seq_len : {1, 2, 7, 8, 50, 199}) {
    const Corpus corpus = positions(200);
    Windows windows(corpus, Split::train, seq_len, 3);
    ASSERT_EQ(windows.count(), 199 / seq_len);
    for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
      std::map<std::int64_t, int> inputs;
      for (std::int64_t i = 0; i < windows.count(); ++i) {
        const Window window = training(windows, epoch * windows.count() + i);
        for (std::int64_t t = 0; t < seq_len; ++t) {
          ++inputs[window.tokens[t]];
          ASSERT_EQ(window.tokens[t + 1], window.tokens[t] + 1) << "the label follows its input";
        }
      }
      EXPECT_EQ(static_cast<std::int64_t>(inputs.size()), windows.count() * seq_len);
      for (const auto& [token, uses] : inputs) EXPECT_EQ(uses, 1) << "token " << token;
      EXPECT_EQ(inputs.rbegin()->first - inputs.begin()->first + 1, windows.count() * seq_len) << "no gap";
    }
  }
}

TEST_F(WindowsOfPositions, TheOrderIsAFunctionOfSeedAndIndex) {
  const Corpus corpus = positions(256);
  Windows forward(corpus, Split::train, 6, 11), backward(corpus, Split::train, 6, 11);
  const std::int64_t total = 5 * forward.count();
  std::vector<Window> seen;
  for (std::int64_t i = 0; i < total; ++i) seen.push_back(training(forward, i));
  for (std::int64_t i = total - 1; i >= 0; --i) {
    ASSERT_EQ(training(backward, i), seen[static_cast<std::size_t>(i)]) << i;
  }

  Windows other(corpus, Split::train, 6, 12);
  std::set<std::int64_t> offsets;
  int same_as_other_seed = 0, same_as_other_epoch = 0, in_text_order = 0;
  for (std::int64_t i = 0; i < total; ++i) {
    const std::int64_t first = seen[static_cast<std::size_t>(i)].tokens[0];
    offsets.insert(first % 6);
    same_as_other_seed += training(other, i).tokens[0] / 6 == first / 6;
    same_as_other_epoch += seen[static_cast<std::size_t>(i % forward.count())].tokens[0] / 6 == first / 6;
    in_text_order += i > 0 && first == seen[static_cast<std::size_t>(i - 1)].tokens[0] + 6;
  }
  EXPECT_LT(same_as_other_seed, total / 4);
  EXPECT_LT(same_as_other_epoch, total / 2) << "epochs differ from the first";
  EXPECT_LT(in_text_order, total / 4);
  EXPECT_GT(offsets.size(), 1u) << "epochs cut the text at different places";
}

TEST_F(WindowsOfPositions, SequentialFollowsTheText) {
  const Corpus corpus = positions(100, "split=[0.5, 0.3, 0.2]");
  const Windows windows(corpus, Split::valid, 9);
  ASSERT_EQ(windows.count(), 3);
  for (std::int64_t i = 0; i < 3; ++i) {
    const Window window = sequential(windows, i);
    EXPECT_EQ(window.tokens.front(), 50 + 9 * i);
    EXPECT_EQ(window.tokens.back(), 50 + 9 * i + 9);
    EXPECT_THAT(window.starts, ElementsAre(0));
  }
  EXPECT_THROW(sequential(windows, 3), std::out_of_range);
  EXPECT_THROW(sequential(windows, -1), std::out_of_range);
}

TEST_F(WindowsOfPositions, NoWindowLeavesItsSplit) {
  const Corpus corpus = positions(100, "split=[0.5, 0.3, 0.2]");
  Windows windows(corpus, Split::valid, 7, 5);
  for (std::int64_t i = 0; i < 40; ++i) {
    const Window window = training(windows, i);
    EXPECT_GE(window.tokens.front(), 50);
    EXPECT_LT(window.tokens.back(), 80);
  }
}

TEST_F(WindowsOfPositions, ASplitShorterThanAWindowSaysHowLongItIs) {
  const Corpus corpus = positions(100, "split=[0.5, 0.49, 0.01]");
  EXPECT_EQ(Windows(corpus, Split::valid, 48).count(), 1) << "exactly one window";
  const Error error = error_of([&] { Windows(corpus, Split::valid, 49); });
  EXPECT_EQ(error.code(), Code::usage);
  EXPECT_THAT(error.what(),
              HasSubstr("the valid split is shorter than one window; found 49 tokens, expected at "
                        "least 50 (seq_len + 1)"));
  EXPECT_THAT(error_of([&] { Windows(corpus, Split::test, 4096); }).what(),
              HasSubstr("found 1 token, expected at least 4,097"));
}

TEST_F(WindowsOfPositions, DocumentsStartWithinWindows) {
  std::string lines;
  for (const char* text : {"aaaa", "bbbbbb", "cc"}) lines += std::string("{\"text\": \"") + text + "\"}\n";
  put(folder_ / "a.jsonl", lines);  // starts at 0, 4, 10; 12 tokens
  const Corpus corpus = open_corpus(folder_ / "a.jsonl", {"split=[1, 0, 0]"});
  const Windows by_two(corpus, Split::train, 2);
  std::vector<std::vector<std::int32_t>> starts;
  for (std::int64_t i = 0; i < by_two.count(); ++i) starts.push_back(sequential(by_two, i).starts);
  EXPECT_EQ(starts, (std::vector<std::vector<std::int32_t>>{{0}, {0, 2}, {0}, {0}, {0, 2}}))
      << "a document that begins at the last label is a start at seq_len";
  EXPECT_THAT(sequential(Windows(corpus, Split::train, 11), 0).starts, ElementsAre(0, 4, 10));

  const Corpus joined = open_corpus(folder_ / "a.jsonl", {"split=[1, 0, 0]", "documents=concatenate"});
  EXPECT_THAT(sequential(Windows(joined, Split::train, 11), 0).starts, ElementsAre(0));
}

}  // namespace
}  // namespace mdnlab
