// Sweeps: which documents come out, in which order, under which label.
#include "run/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "../error_of.h"
#include "base/text.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<SweepPoint> expand(const std::string& yaml) {
  return expand_sweep(parse_yaml(yaml, "sweep.yaml"));
}

std::vector<std::string> labels(const std::vector<SweepPoint>& points) {
  std::vector<std::string> list;
  for (const SweepPoint& point : points) list.push_back(point.label);
  return list;
}

std::string at(const SweepPoint& point, const std::string& path) {
  const Node* node = find_path(point.document, path);
  return node ? node->scalar : "(none)";
}

std::vector<std::string> all_at(const std::vector<SweepPoint>& points, const std::string& path) {
  std::vector<std::string> list;
  for (const SweepPoint& point : points) list.push_back(at(point, path));
  return list;
}

TEST(Sweep, ADocumentWithoutOneIsItself) {
  for (const char* yaml : {"train: {lr: 1}", "train: {lr: 1}\nsweep:\n"}) {
    const auto points = expand(yaml);
    ASSERT_THAT(points, SizeIs(1));
    EXPECT_THAT(points[0].label, IsEmpty());
    EXPECT_EQ(points[0].document.find("sweep"), nullptr);
    EXPECT_EQ(at(points[0], "train.lr"), "1");
  }
}

TEST(Sweep, AxesAreCrossedInTheOrderOfTheFileTheLastOneFastest) {
  const auto points = expand(
      "train: {lr: 1, seed: 0}\nsweep: {rule.name: [mdn, mamba2], train.lr: [3, 2], train.seed: [5, 6]}");
  EXPECT_THAT(
      labels(points),
      ElementsAre("rule.name=mdn, train.lr=3, train.seed=5", "rule.name=mdn, train.lr=3, train.seed=6",
                  "rule.name=mdn, train.lr=2, train.seed=5", "rule.name=mdn, train.lr=2, train.seed=6",
                  "rule.name=mamba2, train.lr=3, train.seed=5", "rule.name=mamba2, train.lr=3, train.seed=6",
                  "rule.name=mamba2, train.lr=2, train.seed=5",
                  "rule.name=mamba2, train.lr=2, train.seed=6"));
  EXPECT_EQ(at(points[5], "rule.name"), "mamba2");
  EXPECT_EQ(at(points[5], "train.lr"), "3");
  EXPECT_EQ(at(points[5], "train.seed"), "6");
  for (const SweepPoint& point : points) EXPECT_EQ(point.document.find("sweep"), nullptr);
}

TEST(Sweep, TheListsOfAZipAdvanceTogetherAndAreCrossedWithTheRest) {
  const auto points = expand(
      "a: 1\nsweep:\n  train.seed: [1, 2]\n  zip:\n    - {train.lr: [10, 20, 30], train.steps: [7, 8, 9]}\n");
  EXPECT_THAT(all_at(points, "train.lr"), ElementsAre("10", "20", "30", "10", "20", "30"));
  EXPECT_THAT(all_at(points, "train.steps"), ElementsAre("7", "8", "9", "7", "8", "9"));
  EXPECT_THAT(all_at(points, "train.seed"), ElementsAre("1", "1", "1", "2", "2", "2"));
  EXPECT_EQ(points[4].label, "train.seed=2, train.lr=20, train.steps=8");
}

TEST(Sweep, TwoZipsAreTwoAxes) {
  const auto points = expand("a: 1\nsweep: {zip: [{train.lr: [1, 2]}, {train.seed: [3, 4]}]}");
  EXPECT_THAT(labels(points), ElementsAre("train.lr=1, train.seed=3", "train.lr=1, train.seed=4",
                                          "train.lr=2, train.seed=3", "train.lr=2, train.seed=4"));
}

TEST(Sweep, AMapIsMergedKeyByKeyAndAListReplaces) {
  const auto points = expand(
      "train: {steps: 5, lr: 1}\ntask: {name: text}\neval: [{task: text}]\n"
      "sweep:\n  zip:\n    - task: [{name: text, most_tokens: 9}, {name: mqar}]\n"
      "      train: [{lr: 2}, {lr: 3, seed: 4}]\n"
      "      eval: [[{task: mqar}, {task: text}], []]\n");
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_EQ(at(points[0], "train.steps"), "5");
  EXPECT_EQ(at(points[0], "train.lr"), "2");
  EXPECT_EQ(at(points[0], "task.most_tokens"), "9");
  EXPECT_THAT(points[0].document.find("eval")->items, SizeIs(2));
  EXPECT_EQ(at(points[1], "train.seed"), "4");
  EXPECT_EQ(at(points[1], "task.most_tokens"), "(none)") << "a point must not inherit from its neighbour";
  EXPECT_THAT(points[1].document.find("eval")->items, IsEmpty());
  // A map is called by its name; what has none leaves the label to its neighbours.
  EXPECT_THAT(labels(points), ElementsAre("task=text", "task=mqar"));
}

TEST(Sweep, PointsWithoutAnyNameAreNumbered) {
  EXPECT_THAT(labels(expand("a: 1\nsweep: {train: [{lr: 1}, {lr: 2}]}")), ElementsAre("train#0", "train#1"));
}

TEST(Sweep, ARuleWrittenShortIsSweptLikeOneWrittenLong) {
  const auto points = expand("rule: mdn\nsweep: {rule.name: [mamba2, mdn], rule.min_log_mu: [-1]}");
  EXPECT_THAT(all_at(points, "rule.name"), ElementsAre("mamba2", "mdn"));
  EXPECT_THAT(all_at(points, "rule.min_log_mu"), ElementsAre("-1", "-1"));
  EXPECT_THAT(all_at(expand("rule: mdn\nsweep: {rule: [mamba2], rule.n_groups: [2]}"), "rule.name"),
              ElementsAre("mamba2"));
}

TEST(Sweep, APathMakesItsSection) {
  EXPECT_THAT(all_at(expand("a: 1\nsweep: {model.hidden_size: [8, 16]}"), "model.hidden_size"),
              ElementsAre("8", "16"));
}

std::string random_yaml(int samples, int seed, const std::string& over) {
  return "a: 1\nsweep: {random: {samples: " + std::to_string(samples) + ", seed: " + std::to_string(seed) +
         ", over: {" + over + "}}}";
}

TEST(Sweep, RandomPointsFollowTheirLaws) {
  const auto points =
      expand(random_yaml(2000, 1,
                         "train.lr: {log_uniform: [1e-4, 1e-2]}, train.max_norm: {uniform: [-1, 3]}, "
                         "rule.name: {choice: [mdn, mamba2, attention]}"));
  ASSERT_THAT(points, SizeIs(2000));
  double logs = 0, sum = 0;
  std::map<std::string, int> chosen;
  for (const SweepPoint& point : points) {
    double lr = 0, norm = 0;
    ASSERT_TRUE(parse_real(at(point, "train.lr"), lr) && parse_real(at(point, "train.max_norm"), norm));
    EXPECT_TRUE(lr >= 1e-4 && lr < 1e-2) << lr;
    EXPECT_TRUE(norm >= -1 && norm < 3) << norm;
    logs += std::log(lr);
    sum += norm;
    ++chosen[at(point, "rule.name")];
  }
  EXPECT_NEAR(logs / 2000, std::log(1e-3), 4 * std::log(100.0) / std::sqrt(12.0 * 2000));
  EXPECT_NEAR(sum / 2000, 1, 4 * 4 / std::sqrt(12.0 * 2000));
  ASSERT_THAT(chosen, SizeIs(3));
  for (const auto& [name, count] : chosen)
    EXPECT_NEAR(count, 2000 / 3.0, 4 * std::sqrt(2000 * 2 / 9.0)) << name;
}

TEST(Sweep, RandomPointsAreAFunctionOfTheSeedAndTheirNumber) {
  const std::string over = "train.lr: {uniform: [0, 1]}";
  const auto points = all_at(expand(random_yaml(5, 1, over)), "train.lr");
  EXPECT_EQ(points, all_at(expand(random_yaml(5, 1, over)), "train.lr"));
  EXPECT_THAT(std::set<std::string>(points.begin(), points.end()), SizeIs(5));
  EXPECT_NE(points, all_at(expand(random_yaml(5, 2, over)), "train.lr"));
  // More samples go on where fewer ended; a further path leaves the earlier ones alone.
  const auto more = all_at(expand(random_yaml(8, 1, over + ", train.eps: {uniform: [0, 1]}")), "train.lr");
  EXPECT_EQ(std::vector(more.begin(), more.begin() + 5), points);
}

TEST(Sweep, RandomIsOneAxisAmongOthers) {
  const auto points =
      expand("a: 1\nsweep: {train.seed: [1, 2], random: {samples: 3, over: {train.lr: {uniform: [0, 1]}}}}");
  ASSERT_THAT(points, SizeIs(6));
  EXPECT_THAT(all_at(points, "train.seed"), ElementsAre("1", "1", "1", "2", "2", "2"));
  EXPECT_EQ(at(points[0], "train.lr"), at(points[3], "train.lr"))
      << "the same points for every seed, so that seeds can be compared";
}

TEST(Sweep, FaultsAreRefusedWhereTheyStand) {
  const std::vector<std::pair<std::string, std::string>> faults{
      {"5", "sweep.yaml:2:8: sweep is no map; expected path: [values], zip: […] or random: {…}"},
      {"{train.lr: 3}", "sweep.yaml:2:19: sweep.train.lr has no values; expected a list that is not empty"},
      {"{train.lr: []}", "sweep.yaml:2:19: sweep.train.lr has no values; expected a list that is not empty"},
      {"{trian.lr: [1]}",
       "sweep.yaml:2:9: the sweep path names nothing; found 'trian.lr'; did you mean 'train'?"},
      {"{schema: [1]}", "sweep.yaml:2:9: the sweep path names nothing; found 'schema'"},
      {"{zip: {train.lr: [1]}}",
       "sweep.yaml:2:14: sweep.zip is no list; expected zip: [{path: […], path2: […]}]"},
      {"{zip: [train.lr]}", "sweep.yaml:2:15: an item of sweep.zip is no map of lists"},
      {"{zip: [{train.lr: [1, 2], train.seed: [1, 2, 3]}]}",
       "sweep.yaml:2:34: the lists of a zip differ in length; found 3 values of train.seed, expected 2, as "
       "train.lr has"},
      {"{zip: [{train.lr: []}]}", "sweep.train.lr has no values"},
      {"{random: {over: {train.lr: {uniform: [0, 1]}}}}", "sweep.random.samples is required"},
      {"{random: {samples: 2}}", "sweep.random has nothing to draw"},
      {"{random: {samples: 0, over: {train.lr: {uniform: [0, 1]}}}}",
       "sweep.random.samples is out of range; found 0"},
      {"{random: {sample: 2, over: {}}}", "unknown key 'sweep.random.sample'; did you mean 'samples'?"},
      {"{random: {samples: 2, over: {train.lr: {loguniform: [1, 2]}}}}",
       "sweep.yaml:2:48: unknown law; found 'loguniform'; did you mean 'log_uniform'?"},
      {"{random: {samples: 2, over: {train.lr: [1, 2]}}}",
       "sweep.random.over.train.lr is no law; expected {uniform: [a, b]}"},
      {"{random: {samples: 2, over: {train.lr: {uniform: [1, 2, 3]}}}}",
       "uniform has no range; expected [a, b] with a < b"},
      {"{random: {samples: 2, over: {train.lr: {uniform: [2, 1]}}}}", "uniform has no range"},
      {"{random: {samples: 2, over: {train.lr: {uniform: [a, b]}}}}", "uniform has no range"},
      {"{random: {samples: 2, over: {train.lr: {log_uniform: [0, 1]}}}}",
       "log_uniform has no range; expected [a, b] with 0 < a < b"},
      {"{random: {samples: 2, over: {train.lr: {choice: []}}}}", "train.lr has no values"},
      {"{random: {samples: 2, over: {trian.lr: {uniform: [0, 1]}}}}",
       "the sweep path names nothing; found 'trian.lr'"},
  };
  for (const auto& [sweep, message] : faults) {
    const Error error = error_of([&] { expand("train: {lr: 1}\nsweep: " + sweep); });
    EXPECT_EQ(error.code(), Code::usage) << sweep;
    EXPECT_THAT(error.what(), HasSubstr(message)) << sweep;
    EXPECT_THAT(error.what(), testing::StartsWith("sweep.yaml:2:")) << sweep;
  }
}

TEST(Sweep, AnAxisThroughAValueIsRefused) {
  EXPECT_THAT(error_of([] { expand("train: 5\nsweep: {train.lr: [1]}"); }).what(),
              HasSubstr("sweep.yaml:2:20: path 'train.lr' goes through 'train'; found the value '5'"));
}

TEST(Sweep, OneThatCannotBeMeantIsRefusedBeforeItIsMade) {
  std::string axis = "[0";
  for (int i = 1; i < 200; ++i) axis += ", " + std::to_string(i);
  axis += "]";
  const Error error = error_of([&] {
    expand("a: 1\nsweep: {train.lr: " + axis + ", train.eps: " + axis + ", train.seed: " + axis + "}");
  });
  EXPECT_THAT(error.what(), HasSubstr("the sweep has more than 1000000 runs"));
}

}  // namespace
}  // namespace mdnlab
