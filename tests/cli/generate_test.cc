// What a model writes, from the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "../unit/temporary_folder.h"
#include "process.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// A model trained on one line until it knows it.
class Generate : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    std::ofstream text(*folder_ / "text.txt");
    for (int line = 0; line < 200; ++line) text << "abcdefgh é ";
    text.close();
    std::ofstream(*folder_ / "one.yaml")
        << "schema: 1\nrule: gated_deltanet\nmodel: {hidden_size: 32, num_hidden_layers: 2, num_heads: 2}\n"
           "data: {path: text.txt}\ntask: {name: text, length_factors: [1]}\n"
           "train: {batch_size: 8, seq_len: 32, steps: 60, lr: 0.02}\n";
    const Finished run = mdnlab({"run", "one.yaml"});
    if (run.code != 0) throw std::runtime_error(run.err);
    const auto status = nlohmann::json::parse(mdnlab({"status", "--json"}).out);
    model_ = "run:" + status["runs"][0]["key"].get<std::string>();
  }
  static void TearDownTestSuite() { delete folder_; }
  static Finished mdnlab(const std::vector<std::string>& words) {
    return run_mdnlab(words, {.folder = folder_->path()});
  }
  static Finished generate(std::vector<std::string> more) {
    more.insert(more.begin(), {"generate", model_});
    return mdnlab(more);
  }

  static TemporaryFolder* folder_;
  static std::string model_;
};

TemporaryFolder* Generate::folder_ = nullptr;
std::string Generate::model_;

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

TEST_F(Generate, SaysWhatIsWrongWithItsWords) {
  const auto refused = [&](std::vector<std::string> words, const char* message) {
    const Finished run = generate(std::move(words));
    EXPECT_EQ(run.code, 2) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, AllOf(StartsWith("mdnlab: "), HasSubstr(message)));
  };
  refused({}, "one of --prompt TEXT and --prompt-file FILE; found neither");
  refused({"--prompt", ""}, "the prompt is empty");
  refused({"--prompt", "\xff"}, "the prompt is not UTF-8; found byte 0");
  refused({"--prompt", "a", "--top-p", "0"}, "--top-p is out of range");
  refused({"--prompt", "a", "--temprature", "1"}, "did you mean '--temperature'?");
  refused({"--prompt", "a", "--tokenizer", "gpt2:/nowhere"}, "/nowhere");
}

}  // namespace
}  // namespace mdnlab
