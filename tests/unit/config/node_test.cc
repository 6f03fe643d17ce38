#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../error_of.h"
#include "config/yaml.h"

namespace mdnlab {
namespace {

using testing::ElementsAre;

std::vector<std::string> keys(const Node& map) {
  std::vector<std::string> names;
  for (const Node::Entry& entry : map.entries) names.push_back(entry.key);
  return names;
}

Node document(const std::string& text) { return parse_yaml(text, "a.yaml"); }

Node scalar(const std::string& text) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.scalar = text;
  node.place = {"sweep.yaml", 9, 4};
  return node;
}

TEST(FindPath, WalksMaps) {
  const Node root = document("train: {optimizer: {lr: 3}}\neval: [1]\n");
  EXPECT_EQ(find_path(root, "train.optimizer.lr")->scalar, "3");
  EXPECT_EQ(find_path(root, "train")->kind, Node::Kind::map);
  EXPECT_EQ(find_path(root, "train.steps"), nullptr);
  EXPECT_EQ(find_path(root, "train.optimizer.lr.x"), nullptr);
  EXPECT_EQ(find_path(root, "eval.0"), nullptr);
  EXPECT_EQ(find_path(root, ""), nullptr);
}

TEST(SetPath, ReplacesAndMakesMapsOnTheWay) {
  Node root = document("train: {lr: 1}\ndata:\n");
  set_path(root, "train.lr", scalar("2"));
  set_path(root, "model.layers.count", scalar("3"));
  set_path(root, "data.path", scalar("x"));
  EXPECT_EQ(find_path(root, "train.lr")->scalar, "2");
  EXPECT_EQ(find_path(root, "train.lr")->place.text(), "sweep.yaml:9:4");
  EXPECT_EQ(find_path(root, "model.layers.count")->scalar, "3");
  EXPECT_EQ(find_path(root, "data.path")->scalar, "x");
  EXPECT_THAT(keys(root), ElementsAre("train", "data", "model"));
}

TEST(SetPath, MergesMapsKeyByKey) {
  Node root = document("task: {name: text, data: {path: a, split: b}}\n");
  set_path(root, "task", document("{name: mqar, data: {path: c, tokenizer: t}, pairs: [4]}"));
  const Node& task = *root.find("task");
  EXPECT_THAT(keys(task), ElementsAre("name", "data", "pairs"));
  EXPECT_THAT(keys(*task.find("data")), ElementsAre("path", "split", "tokenizer"));
  EXPECT_EQ(find_path(root, "task.name")->scalar, "mqar");
  EXPECT_EQ(find_path(root, "task.data.path")->scalar, "c");
  EXPECT_EQ(find_path(root, "task.data.split")->scalar, "b");
}

TEST(SetPath, AMapReplacesAScalarAndTheOtherWayRound) {
  Node root = document("a: 1\nb: {x: 1}\n");
  set_path(root, "a", document("{y: 2}"));
  set_path(root, "b", scalar("3"));
  EXPECT_EQ(find_path(root, "a.y")->scalar, "2");
  EXPECT_EQ(find_path(root, "b")->scalar, "3");
  EXPECT_EQ(find_path(root, "b.x"), nullptr);
}

TEST(SetPath, RefusesAPathThroughScalarsAndLists) {
  Node root = document("train: {lr: 1}\neval: [{task: x}]\n");
  EXPECT_STREQ(error_of([&] { set_path(root, "train.lr.max", scalar("2")); }).what(),
               "sweep.yaml:9:4: path 'train.lr.max' goes through 'train.lr'; found the value '1', expected a "
               "map there");
  EXPECT_STREQ(error_of([&] { set_path(root, "eval.0.task", scalar("2")); }).what(),
               "sweep.yaml:9:4: path 'eval.0.task' goes through 'eval'; found a list, expected a map there");
}

TEST(SetPath, RefusesEmptyParts) {
  for (const char* path : {"", ".", "a.", ".a", "a..b"}) {
    Node root = document("a: {b: 1}\n");
    const Error error = error_of([&] { set_path(root, path, scalar("2")); });
    EXPECT_EQ(error.code(), Code::usage) << path;
    EXPECT_EQ(error.text().what, "the path has an empty part") << path;
  }
}

TEST(SetPath, ARefusedPathChangesNothing) {
  Node root = document("a: {b: 1}\n");
  error_of([&] { set_path(root, "new..x", scalar("2")); });
  EXPECT_THAT(keys(root), ElementsAre("a"));
}

}  // namespace
}  // namespace mdnlab
