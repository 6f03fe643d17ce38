// `mdnlab rules check` as a user meets it: what it prints, and when it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "process.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string broken(const char* module) {
  return (build_folder() / "tests/broken_rules" / (std::string(module) + ".so")).string();
}

std::size_t columns(const std::string& line) {  // code points: UTF-8's continuation bytes do not count
  return static_cast<std::size_t>(std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; }));
}

TEST(RulesCheck, PrintsALineAGroupAndTheSum) {
  const Finished check = run_mdnlab({"rules", "check", "attention", "--seed", "5"});
  EXPECT_EQ(check.code, 0) << check.err;
  EXPECT_THAT(check.out,
              AllOf(StartsWith("attention, seed 5, "), ContainsRegex("\nlayer/causality +[0-9]+ +0 +exact"),
                    ContainsRegex("\nlayer/gradient +[0-9]+ +[0-9.]+e-[0-9]+ "),
                    EndsWith(" cases passed, 0 failed; seed 5\n")));
  std::istringstream lines(check.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(columns(line), 80u) << line;
}

TEST(RulesCheck, PrintsEveryCaseAsJson) {
  const Finished check = run_mdnlab({"rules", "check", "attention", "--json"});
  EXPECT_EQ(check.code, 0) << check.err;
  const auto json = nlohmann::json::parse(check.out);
  EXPECT_EQ(json["seed"], 1);
  EXPECT_EQ(json["failed"], 0);
  ASSERT_EQ(json["rules"].size(), 1u);
  EXPECT_EQ(json["rules"][0]["name"], "attention");
  EXPECT_EQ(json["passed"], json["rules"][0]["cases"].size());
  const auto& row = json["rules"][0]["cases"][0];
  EXPECT_EQ(row["name"], "layer/forward/T=1/f64/y");
  EXPECT_EQ(row["device"], "cpu");
  EXPECT_EQ(row["dtype"], "f64");
  EXPECT_EQ(row["tolerance"], 1e-12);
  EXPECT_LT(row["error"], 1e-12);
  EXPECT_THAT(row["worst_index"].get<std::string>(), ContainsRegex("^\\[[0-9],0,[0-9]+\\]$"));
  EXPECT_EQ(row["passed"], true);
}

TEST(RulesCheck, OfABrokenModuleFailsAndNamesTheCase) {
  const Finished text = run_mdnlab({"rules", "check", broken("wrong_state_size")});
  EXPECT_EQ(text.code, 1) << text.err;
  EXPECT_THAT(
      text.out,
      AllOf(
          StartsWith("wrong_state_size, seed 1, "),
          HasSubstr(
              "FAILED layer/state/f32/S\n"
              "       error inf, limit exact: (3,1,16,16) Float on cpu, declared (3,1,17,16) Float, x on cpu\n"),
          EndsWith(" cases passed, 3 failed; seed 1\n")));
  const Finished json = run_mdnlab({"rules", "check", broken("kept_state"), "--json"});
  EXPECT_EQ(json.code, 1) << json.err;
  EXPECT_GT(nlohmann::json::parse(json.out)["failed"], 0);
  const Finished sound = run_mdnlab({"rules", "check", broken("sound_mixer")});
  EXPECT_EQ(sound.code, 0) << sound.out;
}

TEST(RulesCheck, OfAKernelIsTheRecurrenceOnIt) {
  const Finished check =
      run_mdnlab({"rules", "check", "deltanet", "attention", "--kernel", "batched", "--json"});
  EXPECT_EQ(check.code, 0) << check.err;
  const auto json = nlohmann::json::parse(check.out);
  ASSERT_EQ(json["rules"].size(), 1u);  // attention has no recurrence
  for (const auto& row : json["rules"][0]["cases"]) {
    EXPECT_EQ(row["kernel"], "batched");
    EXPECT_THAT(row["name"].get<std::string>(), StartsWith("recurrence/"));
  }
}

TEST(RulesCheck, OfALevelIsThatLevelAlone) {
  for (const auto& [level, prefix] : {std::pair{"layer", "layer/"}, {"recurrence", "recurrence/"}}) {
    const Finished check = run_mdnlab({"rules", "check", "deltanet", "--level", level, "--json"});
    EXPECT_EQ(check.code, 0) << check.err;
    const auto json = nlohmann::json::parse(check.out);
    ASSERT_EQ(json["rules"].size(), 1u);
    EXPECT_GT(json["rules"][0]["cases"].size(), 100u);
    for (const auto& row : json["rules"][0]["cases"])
      EXPECT_THAT(row["name"].get<std::string>(), StartsWith(prefix));
  }
}

TEST(RulesCheck, TakesOptionsOfTheRule) {
  const Finished check =
      run_mdnlab({"rules", "check", "mamba2", "--set", "head_width=8", "--set", "state_size=6", "--csv"});
  EXPECT_EQ(check.code, 0) << check.err;
  EXPECT_THAT(check.out, AllOf(StartsWith("rule,name,device,dtype,error,tolerance,worst_index,passed\n"),
                               HasSubstr("\nmamba2,recurrence/length/T=1/f64/o,cpu,f64,")));
}

TEST(RulesCheck, RefusesWhatItCannotCheck) {
  const std::vector<std::tuple<std::vector<std::string>, int, std::string>> refusals{
      {{"mdm"}, 2, "unknown rule; found 'mdm'; did you mean 'mdn'?"},
      {{"./nowhere.so"}, 3, "nowhere.so"},
      {{"mdn", "--seed", "-1"}, 2, "--seed is no number; found '-1'"},
      {{"mdn", "--set", "gate_constrain=none"}, 2, "gate_constraint"},
      {{"mdn", "--kernel", "nope"}, 2, "found 'nope'"},
      {{"mdn", "--level", "tensor"}, 2, "found --level tensor, expected recurrence or layer"},
      {{"mdn", "--level", "layer", "--kernel", "cpu"}, 2, "layers choose their kernel; found --kernel cpu"},
      {{"mdn", "--device", "cuda:100"}, 3, "there is no device cuda:100; found "}};
  for (auto [words, code, message] : refusals) {
    words.insert(words.begin(), {"rules", "check"});
    const Finished check = run_mdnlab(words);
    EXPECT_EQ(check.code, code) << check.err;
    EXPECT_EQ(check.out, "");
    EXPECT_THAT(check.err, HasSubstr(message));
  }
}

}  // namespace
}  // namespace mdnlab
