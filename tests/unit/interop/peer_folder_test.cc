// A peer's folder as it may come: drifts between versions that are read, faults that are named.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/file.h"
#include "peers.h"

namespace mdnlab {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string shape = "hidden_size: 8, num_hidden_layers: 1, num_heads: 2, intermediate_size: 8";

class PeerFolder : public testing::Test {
 protected:
  void write(const StoredModel& model) {
    folder_ = here_ / ("model" + std::to_string(++count_));
    write_peer_model(folder_, model, plugins());
  }
  void edit_config(const std::function<void(nlohmann::ordered_json&)>& edit) {
    nlohmann::ordered_json config = read_json(folder_ / "config.json");
    edit(config);
    replace_file(folder_ / "config.json", config.dump(2));
  }
  void edit_tensors(const std::function<void(TensorMap&)>& edit) {
    TensorMap tensors = read_safetensors(folder_ / "model.safetensors").tensors;
    edit(tensors);
    write_safetensors(folder_ / "model.safetensors", tensors);
  }
  StoredModel read() const { return read_stored_model(folder_, plugins()); }
  std::string refusal() const {
    const Error error = error_of([&] { read(); });
    EXPECT_EQ(error.code(), Code::usage) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(folder_.string()));
    return error.what();
  }

  const TemporaryFolder here_;
  std::filesystem::path folder_;
  int count_ = 0;
};

TEST_F(PeerFolder, EveryTensorThatDoesNotFitIsNamed) {
  write(make_model("rule: mdn\nmodel: {" + shape + "}"));
  edit_tensors([](TensorMap& tensors) {
    tensors.erase("model.layers.0.attn.D_log");
    tensors["model.layers.0.attn.q_proj.weight"] = at::zeros({3, 8});
    tensors["model.layers.0.attn.k_proj.weight"] = at::zeros({8, 8}, at::kInt);
    tensors["model.norm.weight"][1] = NAN;
    tensors["model.layers.1.attn.D_log"] = at::zeros({2});
  });
  EXPECT_THAT(refusal(), AllOf(HasSubstr("model.safetensors: the tensors do not fit config.json: "),
                               HasSubstr("'model.layers.0.attn.D_log' is missing"),
                               HasSubstr("'model.layers.0.attn.q_proj.weight' has shape (3, 8), not (8, 8)"),
                               HasSubstr("'model.layers.0.attn.k_proj.weight' is Int, no floating type"),
                               HasSubstr("'model.norm.weight' has a value that is not finite"),
                               HasSubstr("'model.layers.1.attn.D_log' is superfluous")));
}

TEST_F(PeerFolder, TenFaultsAreNamedAndTheRestCounted) {
  write(make_model("rule: mdn\nmodel: {" + shape + "}"));
  edit_tensors([](TensorMap& tensors) { tensors.clear(); });
  const std::string message = refusal();
  EXPECT_THAT(message, testing::EndsWith("; and 17 more"));
  std::size_t missing = 0;
  for (std::size_t at = 0; (at = message.find("is missing", at)) != std::string::npos; ++at) ++missing;
  EXPECT_EQ(missing, 10u);
}

TEST_F(PeerFolder, HalfPrecisionIsWidened) {
  const StoredModel model = make_model("rule: gated_deltanet\nmodel: {" + shape + "}");
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    write(model);
    edit_tensors([&](TensorMap& tensors) {
      for (auto& [name, tensor] : tensors) tensor = tensor.to(type);
    });
    for (const auto& [name, tensor] : read().weights) {
      EXPECT_EQ(tensor.scalar_type(), at::kFloat);
      EXPECT_TRUE(at::equal(tensor, model.weights.at(name).to(type).to(at::kFloat))) << name;
    }
  }
}

TEST_F(PeerFolder, RatesAndBiasesOfOtherVersionsAreRead) {
  const std::string rate = "model.layers.0.attn.A_log", bias = "model.layers.0.attn.dt_bias";
  const StoredModel model = make_model("rule: gated_deltanet\nmodel: {" + shape + "}");
  write(model);
  edit_tensors([&](TensorMap& tensors) { tensors[rate] = tensors[rate].reshape({1, 1, 2, 1}); });
  EXPECT_TRUE(at::equal(read().weights.at(rate), model.weights.at(rate)));
  edit_tensors([&](TensorMap& tensors) { tensors[rate] = tensors[rate].flatten().repeat_interleave(4); });
  EXPECT_TRUE(at::equal(read().weights.at(rate), model.weights.at(rate)));
  edit_tensors([&](TensorMap& tensors) { tensors[rate][3] += 1; });
  EXPECT_THAT(refusal(), HasSubstr("'model.layers.0.attn.A_log' has shape (8), not (2)"));
}

TEST_F(PeerFolder, ATiedHeadMayBeStoredTwice) {
  write(make_model("rule: mdn\nmodel: {" + shape + ", tie_word_embeddings: true}"));
  edit_tensors(
      [](TensorMap& tensors) { tensors["lm_head.weight"] = tensors["model.embeddings.weight"].clone(); });
  EXPECT_FALSE(read().weights.contains("lm_head.weight"));
  edit_tensors([](TensorMap& tensors) { tensors["lm_head.weight"][0][0] += 1; });
  EXPECT_THAT(refusal(), HasSubstr("'lm_head.weight' is superfluous"));
}

TEST_F(PeerFolder, ShardsAreReadAndTheirIndexIsChecked) {
  const StoredModel model = make_model("rule: mdn\nmodel: {" + shape + "}");
  write(model);
  TensorMap first = read_safetensors(folder_ / "model.safetensors").tensors, second;
  second.insert(first.extract("lm_head.weight"));
  second.insert(first.extract("model.norm.weight"));
  std::filesystem::remove(folder_ / "model.safetensors");
  EXPECT_THAT(
      refusal(),
      HasSubstr("the folder has no weights; expected model.safetensors or model.safetensors.index.json"));
  write_safetensors(folder_ / "model-00001-of-00002.safetensors", first);
  write_safetensors(folder_ / "model-00002-of-00002.safetensors", second);
  nlohmann::ordered_json index{{"metadata", {{"total_size", 1}}},
                               {"weight_map", nlohmann::ordered_json::object()}};
  for (const auto& [name, tensor] : first) index["weight_map"][name] = "model-00001-of-00002.safetensors";
  for (const auto& [name, tensor] : second) index["weight_map"][name] = "model-00002-of-00002.safetensors";
  const auto write_index = [&](const nlohmann::ordered_json& json) {
    replace_file(folder_ / "model.safetensors.index.json", json.dump());
  };
  write_index(index);
  EXPECT_EQ(read().weights.size(), model.weights.size());

  nlohmann::ordered_json other = index;
  other["weight_map"]["model.norm.weight"] = "model-00001-of-00002.safetensors";
  write_index(other);
  EXPECT_THAT(
      refusal(),
      HasSubstr(
          "model-00001-of-00002.safetensors: tensor 'model.norm.weight' is missing, which the index says is here"));
  other["weight_map"].erase("model.norm.weight");
  write_index(other);
  EXPECT_THAT(refusal(), HasSubstr("tensor 'model.norm.weight' is here, which the index does not say"));
  other["weight_map"]["model.norm.weight"] = "../elsewhere.safetensors";
  write_index(other);
  EXPECT_THAT(
      refusal(),
      HasSubstr("tensor 'model.norm.weight' is in no file of the folder; found '../elsewhere.safetensors'"));
  other = index;
  for (auto& [name, file] : other["weight_map"].items()) file = "model-3.safetensors";
  write_index(other);
  EXPECT_THAT(refusal(), HasSubstr("model-3.safetensors: cannot map the file"));
  write_index({{"metadata", 1}});
  EXPECT_THAT(refusal(), HasSubstr("the index has no map `weight_map`"));
}

TEST_F(PeerFolder, AKeyThatCannotBeHonouredIsNamed) {
  write(make_model("rule: mdn\nmodel: {" + shape + "}"));
  const nlohmann::ordered_json config = read_json(folder_ / "config.json");
  const std::vector<std::tuple<std::string, nlohmann::ordered_json, std::string>> refusals{
      {"use_p_times_alpha", false,
       "the value of `use_p_times_alpha` cannot be honoured; found 'false', expected true"},
      {"use_lora_gate", true, "the value of `use_lora_gate` cannot be honoured"},
      {"hidden_act", "relu", "the value of `hidden_act` cannot be honoured; found 'relu', expected swish"},
      {"num_head", 3,
       "a momentum_deltanet with this key cannot be honoured; found 'num_head'; did you mean 'num_heads'?"},
      {"mystery", {{"a", 1}}, "found 'mystery'; remove it if the model computes the same without"},
      {"hidden_size", nullptr, "model.hidden_size is required; width of the residual stream"},
      {"hidden_size", "wide",
       "model.hidden_size has the wrong type; found the text 'wide', expected an integer"},
      {"num_hidden_layers", 0, "the value of `num_hidden_layers` cannot be honoured; found '0'"},
      {"vocab_size", -1, "model.vocab_size"},
      {"tau_factor", "x", "tau_factor has the wrong type"},
      {"model_type", "momentum_deltanets",
       "unknown model_type; found 'momentum_deltanets'; did you mean 'momentum_deltanet'?"},
      {"attn", 3, "attn is no map; expected {layers: […], num_heads: …}"},
      {"attn", {{"layers", {0}}}, "attn lacks `num_heads`"},
      {"attn", {{"num_heads", 2}}, "attn lacks `layers`"},
      {"attn",
       {{"layers", {1}}, {"num_heads", 2}},
       "attn.layers has an index outside the model; found '1', expected 0 to 0"},
      {"attn", {{"layers", {0, 0}}, {"num_heads", 2}}, "attn.layers names a layer twice; found 0"},
      {"attn",
       {{"layers", {0}}, {"num_heads", 2}, {"rope_scaling", 2}},
       "attn has a key that cannot be honoured; found 'rope_scaling'"},
      {"attn", {{"layers", {0}}, {"num_heads", 3}}, "the heads of attention do not divide hidden_size"}};
  for (const auto& [key, value, message] : refusals) {
    nlohmann::ordered_json other = config;
    other[key] = value;
    replace_file(folder_ / "config.json", other.dump(2));
    EXPECT_THAT(refusal(), HasSubstr(message)) << key;
  }
}

TEST_F(PeerFolder, AConfigurationThatIsNoneIsRefused) {
  write(make_model("rule: mdn\nmodel: {" + shape + "}"));
  const auto with_config = [&](const std::string& text) {
    replace_file(folder_ / "config.json", text);
    return refusal();
  };
  EXPECT_THAT(
      with_config("{\"hidden_size\": 8}"),
      HasSubstr("neither a checkpoint's configuration nor a peer's; expected `schema` or `model_type`"));
  EXPECT_THAT(with_config("{\"model_type\": {}}"),
              HasSubstr("neither a checkpoint's configuration nor a peer's"));
  EXPECT_THAT(with_config("{\"schema\": 2}"), HasSubstr("this program reads schema 1; found '2'"));
  EXPECT_THAT(with_config("[1, 2]"), HasSubstr("neither a checkpoint's"));
  with_config("{\"model_type\": \"kda\"");
  with_config("");
  with_config("{\"model_type\": \"kda\", \"model_type\": \"kda\"}");
  std::filesystem::remove(folder_ / "config.json");
  EXPECT_THAT(refusal(), HasSubstr("config.json: cannot read the file"));
  std::filesystem::remove_all(folder_);
  EXPECT_THAT(refusal(), HasSubstr("is not there; expected a folder with config.json and model.safetensors"));
}

TEST_F(PeerFolder, WhatIsOffOrWithoutEffectIsPassedOver) {
  write(make_model("rule: gated_deltanet\nmodel: {" + shape + "}"));
  edit_config([](nlohmann::ordered_json& config) {
    config["transformers_version"] = "5.17.0";
    config["fuse_cross_entropy"] = true;
    config["initializer_range"] = 0.006;
    config["attention_bias"] = false;
    config["pad_token_id"] = nullptr;
    config["id2label"] = {{"0", "LABEL_0"}};
  });
  EXPECT_EQ(read().spec.layers[0].name, "gated_deltanet");
}

TEST_F(PeerFolder, LimitsOfTheTimeStepMayBeSpelled) {
  write(make_model(
      "rule: {name: mamba2, head_width: 4, state_size: 3, gated_norm_eps: 1e-6}\nmodel: {hidden_size: 8, "
      "num_hidden_layers: 1, num_heads: 2, hidden_ratio: 0}"));
  const std::string config = read_file(folder_ / "config.json");
  const auto with_limit = [&](const std::string& key, const std::string& value) {
    replace_file(folder_ / "config.json", "{\"" + key + "\": " + value + ", " + config.substr(1));
  };
  for (const char* value : {"[0.0, Infinity]", "[0.0, {\"__float__\": \"Infinity\"}]"}) {
    with_limit("time_step_limit", value);
    EXPECT_EQ(read().spec.layers[0].name, "mamba2") << value;
  }
  for (const char* value : {"[0.001, Infinity]", "[0.0, 0.1]", "[0.0]", "true"}) {
    with_limit("time_step_limit", value);
    EXPECT_THAT(refusal(), HasSubstr("the value of `time_step_limit` cannot be honoured")) << value;
  }
}

}  // namespace
}  // namespace mdnlab
