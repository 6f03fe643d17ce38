// Models in, out and scored from the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "../unit/temporary_folder.h"
#include "process.h"

namespace mdnlab {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string peer(const std::string& name) { return (source_folder() / "tests/data/peers" / name).string(); }

// A run on text, made once, and a list of tokens beside it.
class Models : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    std::ofstream text(*folder_ / "text.txt");
    for (int line = 0; line < 4; ++line)
      text << "To be, or not to be, that is the question: whether 'tis nobler in the mind\n";
    text.close();
    std::ofstream(*folder_ / "ids.json") << "[[1, 2, 3], [], [7], [5, 63, 0, 12]]";
    std::ofstream(*folder_ / "one.yaml")
        << "schema: 1\nrule: mdn\nmodel: {hidden_size: 8, num_hidden_layers: 2, num_heads: 1, intermediate_size: 8}\n"
           "data: {path: text.txt, split: [0.5, 0.25, 0.25]}\ntask: {name: text}\n"
           "train: {batch_size: 2, seq_len: 8, steps: 3}\n";
    const Finished run = mdnlab({"run", "one.yaml"});
    if (run.code != 0) throw std::runtime_error(run.err);
    const auto status = nlohmann::json::parse(mdnlab({"status", "--json"}).out);
    key_ = status["runs"][0]["key"].get<std::string>();
  }
  static void TearDownTestSuite() { delete folder_; }

  static Finished mdnlab(const std::vector<std::string>& words) {
    return run_mdnlab(words, {.folder = folder_->path()});
  }
  static void expect_refused(const std::vector<std::string>& words, int code, const std::string& message) {
    const Finished run = mdnlab(words);
    EXPECT_EQ(run.code, code) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, AllOf(StartsWith("mdnlab: "), HasSubstr(message)));
  }

  static TemporaryFolder* folder_;
  static std::string key_;
};

TemporaryFolder* Models::folder_ = nullptr;
std::string Models::key_;

TEST_F(Models, AFolderOfAPeerIsScoredAsItsImportIs) {
  const Finished direct = mdnlab({"score", peer("momentum_deltanet"), "--tokens", "ids.json", "--json"});
  ASSERT_EQ(direct.code, 0) << direct.err;
  EXPECT_THAT(direct.err, IsEmpty());
  const auto json = nlohmann::json::parse(direct.out);
  EXPECT_EQ(json["model"], peer("momentum_deltanet"));
  ASSERT_EQ(json["sequences"].size(), 4u);
  EXPECT_EQ(json["sequences"][3]["tokens"], nlohmann::json({5, 63, 0, 12}));
  for (const auto& sequence : json["sequences"]) {
    const std::size_t tokens = sequence["tokens"].size();
    EXPECT_EQ(sequence["logprobs"].size(), tokens == 0 ? 0 : tokens - 1);
    for (const auto& value : sequence["logprobs"]) EXPECT_LT(value, 0);
  }

  const Finished imported = mdnlab({"import", peer("momentum_deltanet"), "-o", "imported"});
  ASSERT_EQ(imported.code, 0) << imported.err;
  EXPECT_THAT(imported.out, AllOf(StartsWith("imported: mdn, 2 layers, hidden size 32, vocabulary 64, ")));
  const auto again =
      nlohmann::json::parse(mdnlab({"score", "imported", "--tokens", "ids.json", "--json"}).out);
  EXPECT_EQ(again["sequences"], json["sequences"]);
}

TEST_F(Models, ARunItsCheckpointAndItsExportScoreTheSame) {
  const auto sequences = [&](const std::vector<std::string>& model) {
    std::vector<std::string> words{"score"};
    words.insert(words.end(), model.begin(), model.end());
    const Finished run = mdnlab(words);
    EXPECT_EQ(run.code, 0) << run.err;
    return nlohmann::json::parse(run.out)["sequences"];
  };
  const auto run = sequences({"run:" + key_.substr(0, 6), "--text", "text.txt", "--json"});
  EXPECT_EQ(run[0]["tokens"].size(), fs::file_size(*folder_ / "text.txt"));
  const std::string runs = "mdnlab.runs/" + key_;
  EXPECT_EQ(sequences({runs, "--text", "text.txt", "--json"}), run);
  EXPECT_EQ(sequences({runs + "/step-000000003", "--text", "text.txt", "--json"}), run);

  const Finished exported = mdnlab({"export", "run:" + key_, "-o", "exported"});
  ASSERT_EQ(exported.code, 0) << exported.err;
  EXPECT_EQ(sequences({"exported", "--text", "text.txt", "--tokenizer", "byte", "--json"}), run);
  ASSERT_EQ(mdnlab({"import", "exported", "-o", "back"}).code, 0);
  EXPECT_EQ(sequences({"back", "--text", "text.txt", "--tokenizer", "byte", "--json"}), run);
}

TEST_F(Models, TheTableFitsTheScreen) {
  const Finished table = mdnlab({"score", "run:" + key_, "--text", "text.txt"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out,
              AllOf(StartsWith("sequence  tokens  mean logprob  perplexity  bits/byte\n"), HasSubstr("300")));
}

TEST_F(Models, WhatCannotBeScoredIsRefused) {
  const std::string model = peer("momentum_deltanet");
  expect_refused({"score", model}, 2, "score what? one of --tokens FILE.json and --text FILE; found neither");
  expect_refused({"score", model, "--text", "text.txt", "--tokens", "ids.json"}, 2, "found both");
  expect_refused({"score", model, "--text", "text.txt"}, 2,
                 "the model does not say how its text was made tokens; found no data.tokenizer in ");
  expect_refused({"score", model, "--text", "text.txt", "--tokenizer", "byte"}, 2,
                 "the tokenizer has more tokens than the model; found 256, expected at most 64");
  expect_refused({"score", model, "--tokens", "nowhere.json"}, 2, "nowhere.json: cannot read the file");
  expect_refused({"score", "nowhere", "--tokens", "ids.json"}, 2, "no such model; found 'nowhere'");
  expect_refused({"score", "run:zzz", "--tokens", "ids.json"}, 2, "zzz");
  expect_refused({"score", model, "--tokens", "ids.json", "--dtype", "f8"}, 2,
                 "unknown dtype; found --dtype f8");
  expect_refused({"import", model}, 2, "where to? -o CHECKPOINT is missing");
  expect_refused({"export", model}, 2, "where to? -o DIR is missing");
  expect_refused({"import", ".", "-o", "x"}, 2, "config.json: cannot read the file");
  const std::vector<std::pair<std::string, std::string>> lists{
      {"[1, 2", "the file is no JSON, from byte"},
      {"{}", "the file holds no sequences; found {}, expected a list of lists of token ids"},
      {"[1, 2]", "sequence 0 is no list; found 1"},
      {"[[1], [2, 64]]", "sequence 1, token 1: no id of the model's vocabulary; found 64, expected 0 to 63"},
      {"[[-1]]", "sequence 0, token 0: no id of the model's vocabulary; found -1"},
      {"[[1.5]]", "found 1.5"},
      {"[[\"a\"]]", "found \"a\""}};
  for (const auto& [text, message] : lists) {
    std::ofstream(*folder_ / "bad.json") << text;
    expect_refused({"score", model, "--tokens", "bad.json"}, 2, "bad.json: ");
    expect_refused({"score", model, "--tokens", "bad.json"}, 2, message);
  }
}

TEST_F(Models, ADamagedCheckpointIsNotScored) {
  ASSERT_EQ(mdnlab({"import", peer("momentum_deltanet"), "-o", "damaged"}).code, 0);
  std::fstream file(*folder_ / "damaged/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x7f');
  file.close();
  expect_refused({"score", "damaged", "--tokens", "ids.json"}, 1,
                 "damaged/model.safetensors: the checkpoint is damaged: the file has another SHA-256");
  expect_refused({"import", peer("momentum_deltanet"), "-o", "damaged"}, 2, "is there already");
}

}  // namespace
}  // namespace mdnlab
