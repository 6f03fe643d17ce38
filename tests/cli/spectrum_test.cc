// `mdnlab rules spectrum` from outside: what it prints, writes and refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "../unit/temporary_folder.h"
#include "process.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Finished spectrum(std::vector<std::string> words, const ProcessOptions& options = {}) {
  words.insert(words.begin(), {"rules", "spectrum"});
  return run_mdnlab(words, options);
}

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

TEST(Spectrum, OfThePapersGatesTellsThatTheyGrow) {
  const Finished report = spectrum({"mdn"});
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_EQ(report.err, "");
  EXPECT_THAT(report.out,
              AllOf(StartsWith("mdn, gate_constraint paper: delta, momentum, decay\n"),
                    HasSubstr("\n1  One token along its own key"), HasSubstr("\n2  Constant gates"),
                    HasSubstr("log_factor -1, eta 1.75, mu 0.999"), HasSubstr("1.08292"),
                    HasSubstr("\n3  Worst growth"), HasSubstr("\n4  Certificate: none is known")));
  std::istringstream lines(report.out);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(std::ranges::count_if(line, [](unsigned char c) { return (c & 0xC0) != 0x80; }), 80) << line;
  }
}

TEST(Spectrum, OfEscrowTellsThatItsCertificateHolds) {
  const Finished report = spectrum({"mdn", "--set", "gate_constraint=escrow", "--json", "--grid", "20"});
  EXPECT_EQ(report.code, 0) << report.err;
  const auto json = nlohmann::json::parse(report.out);
  EXPECT_TRUE(json["holds"]);
  EXPECT_EQ(json["certificate"]["norm"], "escrow");
  EXPECT_LE(json["certificate"]["worst_adversarial"].get<double>(), 1 + 1e-12);
  EXPECT_LE(json["adversary"]["growth"].get<double>(), 1 + 1e-6);
  EXPECT_EQ(json["pointwise"]["radius"].size(), 20);
  EXPECT_EQ(json["pointwise"]["agreeing"], json["pointwise"]["compared"]);
}

TEST(Spectrum, IsTheSameForASeedAndHoldsGatesThatAreFixed) {
  const std::vector<std::string> words{"mdn",   "--json",   "--grid", "4",        "--fix",  "log_factor=-1",
                                       "--fix", "eta=1.75", "--fix",  "mu=0.999", "--seed", "3"};
  const Finished first = spectrum(words);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.out, spectrum(words).out);
  const auto json = nlohmann::json::parse(first.out);
  EXPECT_NEAR(json["rotating_key"]["worst"]["growth"].get<double>(), 1.0829, 1e-4);
  EXPECT_EQ(json["rotating_key"]["worst"]["free"]["eta"], 1.75);
}

TEST(Spectrum, WritesItsMapAndItsTrajectory) {
  const TemporaryFolder folder;
  const Finished report = spectrum(
      {"gated_deltanet", "--grid", "10", "--tokens", "7", "--svg", "map.svg", "--trajectory", "growth.csv"},
      {.folder = folder.path()});
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_THAT(report.out, HasSubstr("4  Certificate: ‖S‖' ≤ α‖S‖ a token"));
  EXPECT_THAT(text_of(folder / "map.svg"), AllOf(StartsWith("<svg "), HasSubstr("gated_deltanet")));
  const std::string rows = text_of(folder / "growth.csv");
  EXPECT_THAT(rows, StartsWith("token,alpha,mu,beta,eta,erase,key_angle,log_memory,log_velocity\n1,"));
  EXPECT_EQ(std::ranges::count(rows, '\n'), 8);
  ASSERT_EQ(spectrum({"gated_deltanet", "--grid", "10", "--tokens", "7", "--trajectory", "growth.json"},
                     {.folder = folder.path()})
                .code,
            0);
  EXPECT_EQ(nlohmann::json::parse(text_of(folder / "growth.json")).size(), 7);
}

TEST(Spectrum, RefusesWhatItCannotAnalyse) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> refusals{
      {{"mdm"}, "unknown rule; found 'mdm'; did you mean 'mdn'?"},
      {{"attention"}, "attention is no linear recurrence: it has no spectrum"},
      {{"mdn", "--set", "gate_constraint=papre"}, "did you mean 'paper'?"},
      {{"mdn", "--set", "gate_constrain=paper"}, "did you mean 'gate_constraint'?"},
      {{"delta_momentum", "--set", "gate_constraint=paper"}, "ties β to the decay"},
      {{"mdn", "--fix", "et=1"}, "found 'et'; did you mean 'eta'?"},
      {{"mdn", "--fix", "eta=3"}, "outside the range of eta; found 3, expected 0 to 2"},
      {{"mdn", "--fix", "eta"}, "--fix wants GATE=NUMBER; found 'eta'"},
      {{"mdn", "--alpha", "1.5"}, "--alpha is no decay; found '1.5'"},
      {{"mdn", "--grid", "5000"}, "--grid is too much; found 5000, expected at most 1000"},
      {{"mdn", "--text", "text.txt"}, "--text is read by a model; expected --checkpoint MODEL beside it"},
      {{"mdn", "--checkpoint", "nowhere"}, "found 'nowhere'"},
      {{"mdn", "--checkpoint", "nowhere", "--set", "gate_constraint=none"}, "do not go together"}};
  for (const auto& [words, message] : refusals) {
    const Finished run = spectrum(words);
    EXPECT_EQ(run.code, 2) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, AllOf(StartsWith("mdnlab: "), HasSubstr(message)));
  }
}

// A hybrid, trained for a moment: gates by layer and head, on its own validation data and on a text.
TEST(Spectrum, OfACheckpointTellsItsGates) {
  const TemporaryFolder folder;
  std::ofstream(folder / "text.txt") << std::string(4000, 'a') + std::string(4000, 'b');
  std::ofstream(folder / "run.yaml")
      << "schema: 1\n"
         "model: {hidden_size: 16, num_hidden_layers: 3, num_heads: 2, hidden_ratio: 1,\n"
         "        layers: [{name: mdn, gate_constraint: none}, attention,\n"
         "                 {name: mdn, gate_constraint: none}]}\n"
         "data: {path: text.txt, tokenizer: byte}\ntask: {name: text}\n"
         "train: {batch_size: 2, seq_len: 32, steps: 2, checkpoint_every: 1}\n";
  const ProcessOptions here{.folder = folder.path()};
  const Finished trained = run_mdnlab({"run", "run.yaml"}, here);
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string key =
      nlohmann::json::parse(run_mdnlab({"query", "select key from run", "--json"}, here).out)[0]["key"];

  const Finished report =
      spectrum({"mdn", "--checkpoint", "run:" + key, "--svg", "map.svg", "--grid", "10"}, here);
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_THAT(report.out,
              AllOf(StartsWith("mdn, gate_constraint none"), HasSubstr("\n5  "), HasSubstr("half-life")));
  EXPECT_THAT(text_of(folder / "map.svg"), HasSubstr("tokens of the checkpoint"));

  const Finished data = spectrum({"mdn", "--checkpoint", "run:" + key, "--text", "text.txt", "--sample",
                                  "640", "--grid", "10", "--json"},
                                 here);
  ASSERT_EQ(data.code, 0) << data.err;
  const auto json = nlohmann::json::parse(data.out)["checkpoint"];
  EXPECT_EQ(json["tokens"], 512);  // whole rows
  ASSERT_EQ(json["heads"].size(), 4);
  EXPECT_EQ(json["heads"][3]["layer"], 2);
  EXPECT_EQ(json["heads"][3]["head"], 1);
  EXPECT_EQ(json["heads"][3]["gates"], 512);
  for (const auto& head : json["heads"]) {
    EXPECT_NEAR(head["eta"][2].get<double>(), 1, 0.2);
    EXPECT_TRUE(std::ranges::is_sorted(head["alpha"].get<std::vector<double>>()));
  }
  EXPECT_THAT(spectrum({"kda", "--checkpoint", "run:" + key}, here).err,
              HasSubstr("no layer of the checkpoint has the rule kda"));
}

// A model folder of another project, opened as it lies there.
TEST(Spectrum, OfAPeersModelTellsItsGatesOnTokensThatAreGiven) {
  const TemporaryFolder folder;
  const ProcessOptions here{.folder = folder.path()};
  const std::string peer = (source_folder() / "tests/data/peers/momentum_deltanet").string();
  const auto of_peer = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"mdn", "--checkpoint", peer, "--grid", "4"});
    return spectrum(words, here);
  };
  std::ofstream(folder / "ids.json") << "[[1, 2, 3], [], [5, 63, 0, 12, 7], [9, 9]]";
  const Finished report = of_peer({"--ids", "ids.json", "--sample", "9", "--json"});
  ASSERT_EQ(report.code, 0) << report.err;
  const auto json = nlohmann::json::parse(report.out)["checkpoint"];
  EXPECT_EQ(json["tokens"], 9);        // of the last sequence one
  ASSERT_EQ(json["heads"].size(), 4);  // two layers of two
  EXPECT_EQ(json["heads"][1]["layer"], 0);
  EXPECT_EQ(json["heads"][1]["head"], 1);
  for (const auto& head : json["heads"]) EXPECT_EQ(head["gates"], 9);

  std::ofstream(folder / "text.txt") << "To be, or not to be.";
  std::ofstream(folder / "none.json") << "[[], []]";
  const std::vector<std::pair<std::vector<std::string>, std::string>> refusals{
      {{},
       "does not say what it was trained on; found no task in " + peer +
           "/config.json, expected --text FILE"},
      {{"--text", "text.txt"}, "expected --tokenizer byte, gpt2:FOLDER or sentencepiece:FILE"},
      {{"--text", "text.txt", "--tokenizer", "byte"}, "the tokenizer has more tokens than the model"},
      {{"--text", "text.txt", "--ids", "ids.json"}, "one of --text FILE and --ids FILE.json; found both"},
      {{"--ids", "none.json"}, "no tokens; found none.json"}};
  for (const auto& [words, message] : refusals) {
    const Finished run = of_peer(words);
    EXPECT_EQ(run.code, 2) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, HasSubstr(message));
  }
}

// A key that comes back to where it was has turned by 0.
TEST(Spectrum, PrintsNoNegativeZero) {
  for (const char* rule : {"delta_momentum", "family", "mdn"}) {
    const TemporaryFolder folder;
    const Finished report = spectrum({rule, "--grid", "4", "--tokens", "5", "--trajectory", "growth.csv"},
                                     {.folder = folder.path()});
    ASSERT_EQ(report.code, 0) << report.err;
    for (const std::string& text : {report.out, text_of(folder / "growth.csv")})
      EXPECT_THAT(text, Not(ContainsRegex("(^|[ ,])-0([.]0+)?([ ,\n]|$)"))) << rule;
  }
}

}  // namespace
}  // namespace mdnlab
