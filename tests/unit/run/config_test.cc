// One run's configuration: the sections there must be, may be and may not be.
#include "run/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../error_of.h"
#include "experiment.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::string model = "rule: mdn\nmodel: {hidden_size: 16, num_hidden_layers: 2, num_heads: 2}\n";
const std::string train = "train: {batch_size: 2, seq_len: 16, steps: 3}\n";
const std::string whole = "schema: 1\n" + model + "task: {name: mqar}\n" + train;

RunConfig read(const std::string& yaml) { return read_config(parse_yaml(yaml, "run.yaml"), plugins()); }

std::string refusal(const std::string& yaml) {
  const Error error = error_of([&] { read(yaml); });
  EXPECT_EQ(error.code(), Code::usage) << yaml;
  return error.what();
}

TEST(RunConfig, WithoutEvalTheTaskItselfIsEvaluated) {
  const RunConfig config = read(whole);
  ASSERT_THAT(config.evaluations, SizeIs(1));
  EXPECT_STREQ(config.evaluations[0].kind->name, "mqar");
  EXPECT_EQ(config.evaluations[0].options.json(), config.task.options.json());
  EXPECT_THAT(read(whole + "eval: []\n").evaluations, IsEmpty());
  EXPECT_THAT(read(whole + "eval: [{task: mqar, pairs: 1}, {task: mqar, pairs: 2}]\n").evaluations,
              SizeIs(2));
}

TEST(RunConfig, SectionsAreCheckedByName) {
  EXPECT_EQ(refusal(whole + "trian: {}\n"),
            "run.yaml:6:1: unknown section; found 'trian'; did you mean 'train'?");
  EXPECT_EQ(refusal("- 1\n"),
            "run.yaml:1:1: a configuration is a map; expected schema: 1, rule, model, task, train, …");
  EXPECT_EQ(refusal(model + "task: {name: mqar}\n" + train),
            "run.yaml:1:1: the document does not say its schema; expected schema: 1");
  EXPECT_EQ(refusal("schema: 2\n"),
            "run.yaml:1:9: this program reads schema 1; found '2', expected schema: 1");
  EXPECT_EQ(refusal("schema: 1\n" + model + train), "run.yaml:1:1: the section `task` is missing");
  EXPECT_EQ(refusal("schema: 1\n" + model + "task: {name: mqar}\n"),
            "run.yaml:1:1: the section `train` is missing");
}

TEST(RunConfig, ANameIsAText) {
  EXPECT_EQ(read(whole + "name: first\n").name, "first");
  EXPECT_THAT(refusal(whole + "name: [a, b]\n"), HasSubstr("run.yaml:6:7: name has the wrong type"));
}

TEST(RunConfig, TasksAreCheckedByNameAndOption) {
  const auto task = [](const std::string& text) {
    return "schema: 1\n" + model + "task: " + text + "\n" + train;
  };
  EXPECT_THAT(refusal(task("{name: mqra}")),
              HasSubstr("run.yaml:4:14: unknown task; found 'mqra'; did you mean 'mqar'?"));
  EXPECT_THAT(refusal(task("mqar")), HasSubstr("run.yaml:4:7: task lacks the task's name; expected name: …"));
  EXPECT_THAT(refusal(task("{name: mqar, pair: 4}")),
              HasSubstr("run.yaml:4:20: unknown key 'task.pair'; did you mean 'pairs'?"));
  EXPECT_THAT(refusal(whole + "eval: {task: mqar}\n"),
              HasSubstr("eval is no list; expected eval: [{task: …, settings}]"));
  EXPECT_THAT(refusal(whole + "eval: [{name: mqar}]\n"),
              HasSubstr("eval[0] lacks the task's name; expected task: …"));
  EXPECT_THAT(refusal(whole + "eval: [{task: mqar}, {task: mqar, fill: zero}]\n"),
              HasSubstr("unknown key 'eval[1].fill'; did you mean 'filler'?"));
}

TEST(RunConfig, ATaskThatReadsATextNeedsOne) {
  const std::string missing = "found no section `data`, expected data: {path: …}";
  EXPECT_THAT(refusal("schema: 1\n" + model + "task: {name: text}\n" + train),
              HasSubstr("the task 'text' reads a text; " + missing));
  EXPECT_THAT(refusal(whole + "eval: [{task: text}]\n"),
              HasSubstr("the task 'text' reads a text; " + missing));
}

TEST(RunConfig, BatchesMustFillAStep) {
  const auto with = [](const std::string& more) {
    return "schema: 1\n" + model + "task: {name: mqar}\ntrain: {batch_size: 2, seq_len: 16, steps: 3, " +
           more + "}\n";
  };
  EXPECT_EQ(read(with("tokens_per_step: 96")).train.integer("tokens_per_step"), 96);
  EXPECT_EQ(read(whole).train.integer("tokens_per_step"), 32);
  EXPECT_THAT(refusal(with("tokens_per_step: 100")),
              HasSubstr("run.yaml:5:64: tokens_per_step is no whole number of batches; found 100, expected a "
                        "multiple of batch_size · seq_len = 32"));
  EXPECT_THAT(refusal(with("betas: [0.9]")), HasSubstr("betas are two numbers"));
  EXPECT_THAT(refusal(with("betas: [0.9, 1]")), HasSubstr("each beta is below 1"));
}

}  // namespace
}  // namespace mdnlab
