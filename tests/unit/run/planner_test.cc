// Plans: the key of a run, what it covers and what not; shards and filters.
#include "run/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "../error_of.h"
#include "data/fields.h"
#include "data/pack.h"
#include "experiment.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::string text_run =
    "schema: 1\nname: one\nrule: {name: mdn}\nmodel: {hidden_size: 16, num_hidden_layers: 2, num_heads: 2}\n"
    "data: {path: text.txt}\ntask: {name: text}\ntrain: {batch_size: 2, seq_len: 16, steps: 3}\n";
const std::string mqar_run =
    "schema: 1\nrule: mdn\nmodel: {hidden_size: 16, num_hidden_layers: 2, num_heads: 2}\n"
    "task: {name: mqar, vocabulary: 32, pairs: 2}\ntrain: {batch_size: 2, seq_len: 16, steps: 3}\n";

std::string changed(std::string yaml, const std::string& from, const std::string& to) {
  const std::size_t at = yaml.find(from);
  if (at == std::string::npos) throw std::logic_error(from + " is not in the document");
  return yaml.replace(at, from.size(), to);
}

TEST(RunKey, IsAShortHashAndTheSameEveryTime) {
  const Experiments here;
  EXPECT_EQ(here.key(text_run), here.key(text_run));
  EXPECT_THAT(here.key(text_run), testing::MatchesRegex("[0-9a-f]{32}"));
}

TEST(RunKey, ChangesWithEveryResolvedOption) {
  const Experiments here;
  const std::vector<std::pair<std::string, std::string>> changes{
      {"{name: mdn}", "{name: gated_deltanet}"},
      {"{name: mdn}", "{name: mdn, min_log_mu: -2}"},
      {"{name: mdn}", "{name: mdn, gate_constraint: none}"},
      {"hidden_size: 16", "hidden_size: 32"},
      {"num_hidden_layers: 2", "num_hidden_layers: 3"},
      {"num_heads: 2", "num_heads: 4"},
      {"num_heads: 2", "num_heads: 2, expand_v: 2"},
      {"num_heads: 2", "num_heads: 2, conv_size: 3"},
      {"num_heads: 2", "num_heads: 2, norm_eps: 1e-5"},
      {"num_heads: 2", "num_heads: 2, tie_word_embeddings: true"},
      {"num_heads: 2", "num_heads: 2, ratio: '1:1'"},
      {"num_heads: 2", "num_heads: 2, vocab_size: 300"},
      {"text.txt", "text.txt, split: [0.8, 0.1, 0.1]"},
      {"text.txt", "text.txt, documents: concatenate"},
      {"{name: text}", "{name: text, length_factors: [1, 2]}"},
      {"{name: text}", "{name: text, most_tokens: 64}"},
      {"batch_size: 2", "batch_size: 4"},
      {"seq_len: 16", "seq_len: 8"},
      {"steps: 3", "steps: 4"},
      {"steps: 3", "steps: 3, lr: 1e-3"},
      {"steps: 3", "steps: 3, betas: [0.9, 0.99]"},
      {"steps: 3", "steps: 3, eps: 1e-8"},
      {"steps: 3", "steps: 3, weight_decay: 0"},
      {"steps: 3", "steps: 3, warmup_steps: 1"},
      {"steps: 3", "steps: 3, min_lr_ratio: 0"},
      {"steps: 3", "steps: 3, max_norm: 0"},
      {"steps: 3", "steps: 3, max_skipped_steps: 0"},
      {"steps: 3", "steps: 3, dtype: f64"},
      {"steps: 3", "steps: 3, threads: 2"},
      {"steps: 3", "steps: 3, seed: 1"},
      {"steps: 3", "steps: 3, tokens_per_step: 64"},
      {"task: {name: text}", "task: {name: text}\neval: []"},
      {"task: {name: text}", "task: {name: text}\neval: [{task: mqar, vocabulary: 64, pairs: 2}]"}};
  std::set<std::string> keys{here.key(text_run)};
  for (const auto& [from, to] : changes) {
    EXPECT_TRUE(keys.insert(here.key(changed(text_run, from, to))).second)
        << to << " does not change the key, or as another change does";
  }
}

TEST(RunKey, DoesNotChangeWithNamesOrdersOrDefaultsWrittenOut) {
  const Experiments here;
  const std::string key = here.key(text_run);
  EXPECT_EQ(here.key(changed(text_run, "name: one", "name: two")), key);
  EXPECT_EQ(here.key(changed(text_run, "name: one\n", "")), key);
  EXPECT_EQ(here.key(changed(text_run, "{name: mdn}", "mdn")), key);
  EXPECT_EQ(here.key(changed(text_run, "hidden_size: 16, num_hidden_layers: 2, num_heads: 2",
                             "num_heads: 2, hidden_size: 16, num_hidden_layers: 2")),
            key);
  EXPECT_EQ(here.key(changed(text_run, "steps: 3", "steps: 3, lr: 0.0003, seed: 0, threads: 1, dtype: f32")),
            key);
  EXPECT_EQ(here.key(changed(text_run, "num_heads: 2", "num_heads: 2, head_dim: 8, expand_v: 1.0")), key);
  EXPECT_EQ(here.key(changed(text_run, "{name: text}", "{name: text}\neval: [{task: text}]")), key);
  EXPECT_EQ(here.plan(text_run, "elsewhere/../other.yaml").at(0).row.key, key);
  EXPECT_EQ(here.key(text_run + "sweep: {train.lr: [3e-4]}\n"), key);
}

TEST(RunKey, FollowsTheContentOfTheDataNotItsPlace) {
  const Experiments here;
  const std::string key = here.key(text_run);
  here.put("copy/shakespeare.txt", Experiments::text());
  EXPECT_EQ(here.key(changed(text_run, "text.txt", "copy/shakespeare.txt")), key);
  pack_corpus(
      read_settings(std::vector<std::string>{"path=" + (here / "text.txt").string()}, "data", data_fields()),
      ".", here / "text.bin");
  EXPECT_EQ(here.key(changed(text_run, "text.txt", "text.bin")), key) << "a packed text is the same text";
  std::string other = Experiments::text();
  other[100] ^= 1;
  here.put("text.txt", other);
  EXPECT_NE(here.key(text_run), key);
}

TEST(RunKey, FollowsTheDataOfAnEvaluationToo) {
  const Experiments here;
  const std::string yaml = changed(text_run, "task: {name: text}",
                                   "task: {name: mqar, vocabulary: 256, pairs: 2}\neval: [{task: text}]");
  const std::string key = here.key(yaml);
  here.put("text.txt", "another " + Experiments::text());
  EXPECT_NE(here.key(yaml), key);
}

TEST(RunKey, FollowsTheVersionOfTheRule) {
  const Experiments here;
  const std::filesystem::path folder = std::filesystem::path(std::getenv("MDNLAB_BUILD")) / "tests/unit/run";
  const std::filesystem::path file =
      here.put("versioned.yaml", changed(mqar_run, "rule: mdn", "rule: versioned"));
  std::vector<std::string> keys;
  for (const char* module : {"version_1.so", "version_2.so"}) {
    const std::filesystem::path named[] = {folder / module};
    keys.push_back(make_plan(file, Plugins(named)).at(0).row.key);
  }
  EXPECT_NE(keys[0], keys[1]);
}

TEST(Plan, TellsWhatIsKnownOfARunBeforeItStarts) {
  const Experiments here;
  const auto plan = here.plan(changed(text_run, "steps: 3", "steps: 3, tokens_per_step: 128, seed: 9"));
  ASSERT_THAT(plan, SizeIs(1));
  const PlannedRun& run = plan[0];
  EXPECT_EQ(run.index, 0);
  EXPECT_EQ(run.row.sweep, "one");
  EXPECT_EQ(run.row.name, "one");
  EXPECT_EQ(run.row.rule, "mdn");
  EXPECT_EQ(run.row.task, "text");
  EXPECT_EQ(run.row.seed, 9);
  EXPECT_EQ(run.row.steps, 3);
  EXPECT_EQ(run.row.tokens_per_step, 128);
  EXPECT_EQ(run.row.device_kind, "cpu");
  EXPECT_EQ(run.kernel, "cpu chunk");
  EXPECT_EQ(run.row.state_bytes, 2 * 4 * (2 * 2 * 8 * 8 + 3 * 3 * 16));
  EXPECT_GT(run.row.parameters, 256 * 16 * 2);
  EXPECT_GT(run.flops_per_token, 6 * 256 * 16);
  EXPECT_EQ(run.vocab_size, 256);
  EXPECT_EQ(run.task->vocab_size(), 256);
}

TEST(Plan, RunsOfASweepAreNamedAndNumberedAndOneThatResolvesTwiceIsOne) {
  const Experiments here;
  const auto plan = here.plan(
      mqar_run + "sweep: {rule.name: [mdn, attention], train.lr: [1e-3, 0.001, 2e-3]}\n", "recall.yaml");
  ASSERT_THAT(plan, SizeIs(4));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    names.push_back(plan[i].row.name);
    EXPECT_EQ(plan[i].index, static_cast<std::int64_t>(i));
    EXPECT_EQ(plan[i].row.sweep, "recall");
  }
  EXPECT_THAT(names, ElementsAre("rule.name=mdn, train.lr=1e-3", "rule.name=mdn, train.lr=2e-3",
                                 "rule.name=attention, train.lr=1e-3", "rule.name=attention, train.lr=2e-3"));
  EXPECT_EQ(plan[2].kernel, "cpu sdpa");
}

TEST(Plan, TheResolvedConfigurationReadsBackToItself) {
  const Experiments here;
  for (const std::string& yaml :
       {text_run, mqar_run, changed(text_run, "num_heads: 2", "num_heads: 2, ratio: '1:1'"),
        changed(mqar_run, "rule: mdn\nmodel: {",
                "model: {layers: [{name: mdn, min_log_mu: -0.1}, gated_deltanet], "),
        changed(text_run, "path: text.txt",
                "path: \"text.txt\", split: [0.8, 0.1, 0.1], documents: concatenate"),
        changed(text_run, "task: {name: text}",
                "task: {name: text}\neval: [{task: text, length_factors: [1, 3]}, {task: mqar, vocabulary: "
                "20, pairs: 1}]"),
        changed(text_run, "steps: 3", "steps: 1_000, lr: 1e-05, eps: 1e-15, dtype: bf16")}) {
    const PlannedRun run = here.plan(yaml).at(0);
    for (const bool pretty : {false, true}) {
      const RunConfig again = read_config(parse_yaml(run.config.json(pretty), "resolved"), plugins());
      EXPECT_EQ(again.json(), run.row.config_json) << yaml;
      TaskMaker tasks(here / "");
      EXPECT_EQ(describe_run(again, plugins(), tasks).row.key, run.row.key) << yaml;
    }
  }
}

TEST(Plan, TheResolvedConfigurationSaysEveryDefault) {
  const Experiments here;
  const auto config = nlohmann::json::parse(here.plan(text_run).at(0).row.config_json);
  EXPECT_EQ(config["schema"], 1);
  EXPECT_EQ(config["rule"]["gate_constraint"], "paper");
  EXPECT_FALSE(config["rule"].contains("min_log_mu")) << "an option that is unset has no value to say";
  EXPECT_EQ(config["model"]["head_dim"], 8);
  EXPECT_EQ(config["train"]["tokens_per_step"], 32);
  EXPECT_EQ(config["train"]["lr"], 3e-4);
  EXPECT_EQ(config["data"]["documents"], "reset");
  EXPECT_EQ(config["eval"][0]["task"], "text");
}

TEST(Plan, RefusesAVocabularyThatTheTaskDoesNotFitIn) {
  const Experiments here;
  const Error small =
      error_of([&] { here.plan(changed(text_run, "num_heads: 2", "num_heads: 2, vocab_size: 255")); });
  EXPECT_EQ(small.code(), Code::usage);
  EXPECT_THAT(
      small.what(),
      HasSubstr(
          "vocab_size is smaller than the vocabulary of the tokenizer 'byte'; found 255, expected 256 or more"));
  const Error evaluation =
      error_of([&] { here.plan(mqar_run + "eval: [{task: mqar, vocabulary: 64, pairs: 2}]\n"); });
  EXPECT_THAT(evaluation.what(),
              HasSubstr("experiment.yaml:6:8: the evaluation has tokens that the model was not trained with; "
                        "found a vocabulary of 128, expected at most 96"));
}

std::vector<std::int64_t> indices(const std::vector<PlannedRun>& plan) {
  std::vector<std::int64_t> list;
  for (const PlannedRun& run : plan) list.push_back(run.index);
  return list;
}

class Chosen : public testing::Test {
 protected:
  std::vector<PlannedRun> only(const std::vector<std::string>& filters) const {
    std::vector<PlannedRun> kept = plan_;
    keep_only(kept, filters);
    return kept;
  }

  Experiments here_;
  std::vector<PlannedRun> plan_ =
      here_.plan(mqar_run + "sweep: {rule.name: [mdn, attention], train.lr: [1e-3, 2e-3, 3e-3]}\n");
};

TEST_F(Chosen, ShardsPartThePlanByItsIndices) {
  std::vector<std::int64_t> all;
  for (std::int64_t shard = 0; shard < 4; ++shard) {
    std::vector<PlannedRun> kept = plan_;
    keep_shard(kept, shard, 4);
    for (const PlannedRun& run : kept) {
      EXPECT_EQ(run.index % 4, shard);
      all.push_back(run.index);
    }
  }
  std::ranges::sort(all);
  EXPECT_THAT(all, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(Chosen, OnePathIsOredDifferentOnesAreAnded) {
  EXPECT_THAT(indices(only({})), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(indices(only({"rule.name=mdn"})), ElementsAre(0, 1, 2));
  EXPECT_THAT(indices(only({"train.lr=0.001", "train.lr=3e-3"})), ElementsAre(0, 2, 3, 5));
  EXPECT_THAT(indices(only({"train.lr=0.001", "rule.name=attention", "train.lr=3e-3"})), ElementsAre(3, 5));
  EXPECT_THAT(indices(only({"train.threads=1"})), SizeIs(6)) << "defaults are matched too";
  EXPECT_THAT(only({"rule.name=mamba2"}), IsEmpty());
}

TEST_F(Chosen, APathThatNoRunHasIsRefused) {
  const Error unknown = error_of([&] { only({"rule.nam=mdn"}); });
  EXPECT_EQ(unknown.code(), Code::usage);
  EXPECT_THAT(unknown.what(), HasSubstr("--only names a path that no run has; found 'rule.nam'"));
  EXPECT_THAT(error_of([&] { only({"rule.name"}); }).what(),
              HasSubstr("--only takes path=value; found 'rule.name'"));
  EXPECT_THAT(indices(only({"rule.gate_constraint=paper"})), ElementsAre(0, 1, 2))
      << "one run that has it is enough";
}

}  // namespace
}  // namespace mdnlab
