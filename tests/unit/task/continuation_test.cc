// Where a prompt ends and what follows it begins, in tokens.
#include "task/continuation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "data/gpt2_tokenizer.h"

namespace mdnlab {
namespace {

// With GPT-2's tokenizer a space belongs to the word after it.
TEST(Continuation, SplitsAsTheReferenceDoes) {
  const Gpt2Tokenizer gpt2(std::filesystem::path(std::getenv("MDNLAB_SOURCE")) / "experiments/data/gpt2");
  const auto split = [&](const char* context, const char* continuation) {
    const Continued result = continued(gpt2, context, continuation);
    const auto part = [&](const std::vector<std::int64_t>& tokens) {
      return gpt2.decode(std::vector<std::int32_t>(tokens.begin(), tokens.end()));
    };
    return std::pair(part(result.context), part(result.continuation));
  };
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(split("Answer:", " yes"), Pair("Answer:", " yes"));
  EXPECT_EQ(split("Answer: ", "yes"), Pair("Answer:", " yes"));
  EXPECT_EQ(split("Answer:  ", "yes"), Pair("Answer:", "  yes"));
  EXPECT_EQ(split("Answer:\n", "yes"), Pair("Answer:", "\nyes"));
  // " yes" is one token after the cut, "yes" after a kept space would be another.
  EXPECT_EQ(continued(gpt2, "Answer: ", "yes").continuation, tokens_of(gpt2, " yes"));
  EXPECT_EQ(continued(gpt2, "Answer:", " yes").continuation.size(), 1u);
  // Tokens may join across the cut: the whole's tokens count, cut at the context's length.
  const std::vector<std::int64_t> joined = tokens_of(gpt2, "unbelievable");
  const Continued across = continued(gpt2, "unbel", "ievable");
  EXPECT_EQ(across.continuation,
            std::vector(joined.begin() + std::min<std::ptrdiff_t>(std::ssize(tokens_of(gpt2, "unbel")),
                                                                  std::ssize(joined) - 1),
                        joined.end()));
  // Nothing before: what ends a text.
  EXPECT_EQ(continued(gpt2, "", "yes").context, std::vector<std::int64_t>{*gpt2.end_of_text()});
}

}  // namespace
}  // namespace mdnlab
