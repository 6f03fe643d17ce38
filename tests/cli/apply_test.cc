// `rules apply` from outside: files in, files and tables out, and files that lie. Its numbers are tested in
// tests/unit/check.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "../unit/temporary_folder.h"
#include "markdown.h"
#include "process.h"

namespace mdnlab {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

std::string with_length(const std::string& header, std::uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header;
}

std::string safetensors(const std::vector<Tensor>& tensors) {
  json header;
  std::string data;
  for (const Tensor& tensor : tensors) {
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  return with_length(header.dump(), header.dump().size()) + data;
}

std::vector<float> read_values(const std::string& file, const std::string& name) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  const json entry = json::parse(file.substr(8, length))[name];
  const std::size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
  std::vector<float> values((end - begin) / sizeof(float));
  std::memcpy(values.data(), file.data() + 8 + length + begin, end - begin);
  return values;
}

// S = β k vᵀ = [1.5, 0]ᵀ, then S ← ½ S + 1·[0, 1]ᵀ·2 = [0.75, 2]ᵀ
const std::vector<Tensor> two_tokens = {{"q", {1, 2, 1, 2}, {1, 1, 1, 1}},
                                        {"k", {1, 2, 1, 2}, {1, 0, 0, 1}},
                                        {"v", {1, 2, 1, 1}, {3, 2}},
                                        {"beta", {1, 2, 1}, {0.5, 1}},
                                        {"log_alpha", {1, 2, 1}, {0, -0.6931472f}}};

class RulesApply : public testing::Test {
 protected:
  Finished apply(const std::string& input, std::vector<std::string> words) {
    std::ofstream(folder_ / "in.safetensors", std::ios::binary) << input;
    words.insert(words.begin(), {"rules", "apply"});
    words.insert(words.end(), {"--input", "in.safetensors", "--output", "out.safetensors"});
    return run_mdnlab(words, {.folder = folder_.path()});
  }
  std::string refused(const std::string& input, const std::vector<std::string>& words = {"mamba2"}) {
    const Finished finished = apply(input, words);
    EXPECT_EQ(finished.code, 2) << finished.err;
    EXPECT_EQ(finished.out, "");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out.safetensors"));
    return finished.err;
  }

  const TemporaryFolder folder_;
};

TEST_F(RulesApply, WritesResultsAndSaysWhich) {
  for (const char* mode : {"reference", "chunk", "step"}) {
    const Finished done =
        apply(safetensors(two_tokens), {"mamba2", "--mode", mode, "--dtype", "f32", "--json"});
    ASSERT_EQ(done.code, 0) << done.err;
    const json summary = json::parse(done.out);
    EXPECT_EQ(summary["mode"], mode);
    ASSERT_EQ(summary["tensors"].size(), 2u);
    EXPECT_EQ(summary["tensors"][1]["tensor"], "o");
    EXPECT_EQ(summary["tensors"][1]["shape"], json({1, 2, 1, 1}));
    EXPECT_EQ(summary["tensors"][1]["dtype"], mode == std::string("reference") ? "f64" : "f32");
    EXPECT_NEAR(summary["tensors"][1]["norm"], std::hypot(1.5, 2.75), 1e-6);
    if (mode == std::string("reference")) continue;
    const std::string file = read_text(folder_ / "out.safetensors");
    EXPECT_THAT(read_values(file, "o"), ElementsAre(1.5f, testing::FloatNear(2.75f, 1e-6f)));
    EXPECT_THAT(read_values(file, "final_S"), ElementsAre(testing::FloatNear(0.75f, 1e-6f), 2.f));
  }
  const Finished table = apply(safetensors(two_tokens), {"mamba2"});
  EXPECT_EQ(table.err, "");
  EXPECT_THAT(table.out, testing::ContainsRegex("final_S +\\[1,1,2,1\\] +f32 +2.136"));
}

TEST_F(RulesApply, WarnsOfWhatOverflows) {
  std::vector<Tensor> tensors = two_tokens;
  tensors[1].values = tensors[2].values = {1e30f, 1e30f, 1e30f, 1e30f};
  tensors[2].values.resize(2);
  const Finished done = apply(safetensors(tensors), {"mamba2"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_THAT(done.err, HasSubstr("warning: 'o' holds what is no number"));
}

TEST_F(RulesApply, RefusesWhatDoesNotFitAndNamesIt) {
  std::vector<Tensor> tensors = two_tokens;
  tensors.push_back({"do", {1, 2, 1, 1}, {1, 1}});
  EXPECT_THAT(refused(safetensors(tensors), {"mamba2", "--mode", "step"}), HasSubstr("found tensor 'do'"));
  EXPECT_THAT(refused(safetensors(two_tokens), {"attention"}), HasSubstr("'attention' has no recurrence"));
  EXPECT_THAT(refused(safetensors(two_tokens), {"mdn", "--mode", "fast"}),
              HasSubstr("one of: reference, chunk, step"));
  EXPECT_THAT(refused(safetensors(two_tokens), {"mdn", "--set", "gate_constraint=none"}),
              HasSubstr("'gate_constraint' is an option of the layer, not of its bare recurrence"));
  tensors = two_tokens;
  tensors[2].values[1] = std::nanf("");
  EXPECT_THAT(refused(safetensors(tensors)),
              HasSubstr("in.safetensors: tensor 'v' holds what is no number; found nan at [0,1,0,0]"));
  tensors = two_tokens;
  tensors[3].name = "betta";
  EXPECT_THAT(refused(safetensors(tensors)), HasSubstr("did you mean 'beta'?"));
  EXPECT_THAT(refused(safetensors({two_tokens[0], two_tokens[1]})), HasSubstr("tensor 'v' is missing"));
}

TEST_F(RulesApply, LeavesItsInputAlone) {
  const std::string good = safetensors(two_tokens);
  std::ofstream(folder_ / "in.safetensors", std::ios::binary) << good;
  const Finished done =
      run_mdnlab({"rules", "apply", "mamba2", "-i", "in.safetensors", "-o", "./in.safetensors"},
                 {.folder = folder_.path()});
  EXPECT_EQ(done.code, 2);
  EXPECT_THAT(done.err, HasSubstr("the output is the input"));
  EXPECT_EQ(read_text(folder_ / "in.safetensors"), good);
}

TEST_F(RulesApply, RefusesFilesThatLie) {
  const std::string good = safetensors(two_tokens);
  EXPECT_THAT(refused(good.substr(0, good.size() - 4)),
              HasSubstr("in.safetensors: tensor 'log_alpha' lies outside the file"));
  EXPECT_THAT(refused(good.substr(0, 5)), HasSubstr("cut short"));
  EXPECT_THAT(refused(with_length("{}", std::uint64_t{1} << 62)), HasSubstr("cut short"));
  const std::string huge = R"({"q":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}})";
  EXPECT_THAT(refused(with_length(huge, huge.size()) + "1234"),
              HasSubstr("tensor 'q' has a shape of more than 2^63 bytes"));
}

}  // namespace
}  // namespace mdnlab
