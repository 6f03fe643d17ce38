// Out and in again: folders of peers, models of ours, what has no counterpart.
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "eval/log_probabilities.h"
#include "peers.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void expect_same_tensors(const TensorMap& found, const TensorMap& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_TRUE(at::equal(found.at(name), tensor)) << name;
  }
}

class PeerRoundTrip : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Peers, PeerRoundTrip, testing::ValuesIn(peer_names()),
                         [](const auto& info) { return info.param; });

TEST_P(PeerRoundTrip, ExportOfAnImportIsTheFolder) {
  const TemporaryFolder here;
  const std::filesystem::path folder = peers_folder() / GetParam();
  write_checkpoint(here / "checkpoint", read_stored_model(folder, plugins()));
  const StoredModel checkpoint = read_stored_model(here / "checkpoint", plugins());
  write_peer_model(here / "again", checkpoint, plugins());

  const Safetensors before = read_safetensors(folder / "model.safetensors"),
                    after = read_safetensors(here / "again/model.safetensors");
  ASSERT_EQ(after.tensors.size(), before.tensors.size());
  for (const auto& [name, tensor] : before.tensors) {
    ASSERT_TRUE(after.tensors.contains(name)) << name;
    EXPECT_EQ(after.tensors.at(name).scalar_type(), at::kFloat) << name;
    EXPECT_TRUE(at::equal(after.tensors.at(name), tensor.to(at::kFloat))) << name;
  }
  EXPECT_EQ(after.metadata.at("format"), "pt");  // their loader asks for it
  // Every key that we write and they wrote has their value.
  const nlohmann::json config = read_json(here / "again/config.json"),
                       original = read_json(folder / "config.json");
  for (const auto& [key, value] : config.items()) {
    if (original.contains(key) && key != "dtype") {
      EXPECT_EQ(value, original[key]) << key;
    }
  }
  for (const char* key : {"architectures", "model_type", "hidden_size", "num_hidden_layers", "vocab_size"}) {
    EXPECT_TRUE(config.contains(key) && original.contains(key)) << key;
  }
}

class OurRoundTrip : public testing::TestWithParam<std::string> {};

const std::string shape = "hidden_size: 8, num_hidden_layers: 2, num_heads: 2, intermediate_size: 8",
                  bare = "hidden_size: 8, num_hidden_layers: 2, num_heads: 2, hidden_ratio: 0";

INSTANTIATE_TEST_SUITE_P(
    Models, OurRoundTrip,
    testing::Values(
        "rule: mdn\nmodel: {" + shape + "}",
        "rule: {name: mdn, min_log_mu: -1, tau_factor: 8, output_correction: false}\nmodel: {" + shape +
            ", expand_v: 2, head_dim: 3, tie_word_embeddings: true}",
        "rule: {name: gated_deltanet, allow_neg_eigval: true}\nmodel: {" + shape + ", norm_eps: 1e-5}",
        "rule: {name: mamba2, head_width: 4, state_size: 3, gated_norm_eps: 1e-6}\nmodel: {" + bare + "}",
        "rule: {name: mamba2, head_width: 4, state_size: 3, n_groups: 2, gated_norm_eps: 1e-6}\nmodel: {" +
            bare + "}",
        "rule: {name: attention, rope_theta: 500, qkv_bias: true, num_kv_heads: 1}\nmodel: {" + shape + "}",
        "rule: {name: sliding_attention, window: 5}\nmodel: {" + shape + "}",
        "rule: mdn\nmodel: {hidden_size: 8, num_hidden_layers: 4, num_heads: 2, ratio: '3:1'}",
        "model: {hidden_size: 8, num_hidden_layers: 3, num_heads: 2, hidden_ratio: 2, layers: "
        "[{name: sliding_attention, num_heads: 4, window: 3}, gated_deltanet, attention]}"));

TEST_P(OurRoundTrip, ScoresAreTheSameToTheBit) {
  const TemporaryFolder here;
  const StoredModel model = make_model(GetParam());
  write_peer_model(here / "out", model, plugins());
  const StoredModel read = read_stored_model(here / "out", plugins());
  expect_same_tensors(read.weights, model.weights);
  write_checkpoint(here / "in", read);
  const StoredModel again = read_stored_model(here / "in", plugins());
  expect_same_tensors(again.weights, model.weights);
  const std::vector<std::int64_t> tokens{1, 5, 0, 10, 3, 3, 7, 2, 9};
  const auto scores = [&](const StoredModel& stored) {
    return log_probabilities(build_model(stored, plugins(), at::kFloat), tokens);
  };
  EXPECT_EQ(scores(read), scores(model));
  EXPECT_EQ(scores(again), scores(model));
}

TEST(Export, NamesWhatHasNoCounterpart) {
  const TemporaryFolder here;
  const std::vector<std::pair<std::string, std::string>> refusals{
      {"rule: decay_momentum\nmodel: {" + shape + "}",
       "no peer's model has these layers; found decay_momentum"},
      {"model: {" + shape + ", layers: [mdn, gated_deltanet]}",
       "no peer's model has these layers; found 1×mdn + 1×gated_deltanet"},
      {"rule: {name: mdn, gate_constraint: none}\nmodel: {" + shape + "}",
       "layer 0: mdn.gate_constraint has no counterpart in a momentum_deltanet; found \"none\", expected \"paper\""},
      {"rule: {name: gated_deltanet, output_correction: true}\nmodel: {" + shape + "}",
       "layer 0: gated_deltanet.output_correction has no counterpart in a gated_deltanet"},
      {"model: {" + shape + ", layers: [{name: mdn, tau_factor: 8}, mdn]}",
       "layer 1: mdn.tau_factor has no counterpart"},
      {"rule: mdn\nmodel: {hidden_size: 8, num_hidden_layers: 1, num_heads: 2, hidden_ratio: 0}",
       "blocks without an MLP have no counterpart in a momentum_deltanet"},
      {"rule: {name: mamba2, head_width: 4}\nmodel: {" + shape + "}", "has no counterpart in a mamba2"},
      {"rule: attention\nmodel: {hidden_size: 8, num_hidden_layers: 1, num_heads: 2, head_dim: 6}",
       "attention heads that do not make up hidden_size have no counterpart; found 2 · 6, expected 8"}};
  for (const auto& [yaml, message] : refusals) {
    const Error error = error_of([&] { write_peer_model(here / "out", make_model(yaml), plugins()); });
    EXPECT_EQ(error.code(), Code::usage) << yaml;
    EXPECT_THAT(error.what(), HasSubstr(message)) << yaml;
    EXPECT_TRUE(std::filesystem::is_empty(here.path())) << yaml;
  }
}

TEST(Export, AFolderThatIsThereIsKept) {
  const TemporaryFolder here;
  const StoredModel model = make_model("rule: mdn\nmodel: {" + shape + "}");
  std::filesystem::create_directory(here / "out");
  for (const auto& write : {std::function([&] { write_peer_model(here / "out", model, plugins()); }),
                            std::function([&] { write_checkpoint((here / "out").string() + "/", model); })}) {
    const Error error = error_of(write);
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(), HasSubstr("is there already; expected a new folder"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(here / "out"));
}

}  // namespace
}  // namespace mdnlab
