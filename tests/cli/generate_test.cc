// What a model writes, from the command line.
#include <gmock/gmock.h>

#include "trained_model.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// A model trained on one line until it knows it.
class Generate : public TrainedModel {
 protected:
  static void SetUpTestSuite() {
    TrainedModel::SetUpTestSuite();
    train("abcdefgh é ", 200);
  }
  static Finished generate(const std::vector<std::string>& more) { return ask("generate", more); }
};

TEST_F(Generate, GoesOnWithWhatItHasLearned) {
  const Finished run = generate({"--prompt", "abcd", "--max-tokens", "19"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.out, "efgh é abcdefgh é\n");
  std::ofstream(*folder_ / "prompt.txt") << "abcd";
  EXPECT_EQ(generate({"--prompt-file", "prompt.txt", "--max-tokens", "4"}).out, "efgh\n");
  EXPECT_EQ(generate({"--prompt", "abcd", "--max-tokens", "0"}).out, "\n");
}

TEST_F(Generate, PrintsTokensAndTextAsJson) {
  const auto json = nlohmann::json::parse(generate({"--prompt", "ab", "--max-tokens", "2", "--json"}).out);
  EXPECT_EQ(json["model"], model_);
  EXPECT_EQ(json["prompt_tokens"], nlohmann::json({'a', 'b'}));
  EXPECT_EQ(json["tokens"], nlohmann::json({'c', 'd'}));
  EXPECT_EQ(json["text"], "cd");
  EXPECT_EQ(json["ended"], false);
}

TEST_F(Generate, DrawsTheSameForTheSameSeed) {
  const auto drawn = [&](const char* seed) {
    return generate({"--prompt", "ab", "--max-tokens", "60", "--temperature", "3", "--seed", seed}).out;
  };
  EXPECT_EQ(drawn("1"), drawn("1"));
  EXPECT_NE(drawn("1"), drawn("2"));
  EXPECT_EQ(
      generate({"--prompt", "abcd", "--max-tokens", "4", "--temperature", "3", "--top-p", "0.000001"}).out,
      "efgh\n");
}

TEST_F(Generate, TellsHowFastItReadsAndWrites) {
  const auto json = nlohmann::json::parse(
      generate({"--bench", "--sequences", "3", "--prompt-tokens", "20", "--max-tokens", "2", "--json"}).out);
  EXPECT_EQ(json["sequences"], 3);
  EXPECT_EQ(json["prompt_tokens"], 20);
  EXPECT_NEAR(json["tokens_per_second"].get<double>() * json["step_ms"].get<double>(), 3000, 1);
  EXPECT_NEAR(json["prompt_tokens_per_second"].get<double>() * json["prompt_ms"].get<double>(), 20000, 1);
  EXPECT_GT(json["step_bytes"], 0);
  EXPECT_THAT(generate({"--bench", "--prompt-tokens", "20", "--max-tokens", "2"}).out,
              AllOf(HasSubstr("prompt of 20 tokens"), HasSubstr("a token of 1 sequence  ")));
}

TEST_F(Generate, SaysWhatIsWrongWithItsWords) {
  const auto refused = [&](std::vector<std::string> words, const char* message) {
    const Finished run = generate(std::move(words));
    EXPECT_EQ(run.code, 2) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, AllOf(StartsWith("mdnlab: "), HasSubstr(message)));
  };
  refused({"--bench", "--prompt", "ab"}, "--bench reads random tokens; found --prompt");
  refused({"--prompt", "ab", "--sequences", "2"}, "a word of --bench; found --sequences");
  refused({}, "one of --prompt TEXT and --prompt-file FILE; found neither");
  refused({"--prompt", ""}, "the prompt is empty");
  refused({"--prompt", "\xff"}, "the prompt is not UTF-8; found byte 0");
  refused({"--prompt", "a", "--top-p", "0"}, "--top-p is out of range");
  refused({"--prompt", "a", "--temprature", "1"}, "did you mean '--temperature'?");
  refused({"--prompt", "a", "--tokenizer", "gpt2:/nowhere"}, "/nowhere");
}

}  // namespace
}  // namespace mdnlab
