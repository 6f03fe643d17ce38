// experiments/README.md: its reference is the program's, its examples are whole and its commands run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "../unit/temporary_folder.h"
#include "markdown.h"
#include "process.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

std::string readme() { return read_text(source_folder() / "experiments/README.md"); }

nlohmann::json plan_of(const std::string& name) {
  const std::string file = source_folder() / ("experiments/" + name + ".yaml");
  const Finished plan = run_mdnlab({"plan", file, "--json"});
  EXPECT_EQ(plan.code, 0) << plan.err;
  return nlohmann::json::parse(plan.out)["runs"].at(0);
}

TEST(ExperimentsReadme, HoldsTheReferenceThatTheProgramPrints) {
  const Finished reference = run_mdnlab({"plan", "--reference"});
  ASSERT_EQ(reference.code, 0) << reference.err;
  EXPECT_EQ(between(readme(), "<!-- reference -->\n", "<!-- end of reference -->"), reference.out)
      << "put the output of `mdnlab plan --reference` between the marks";
  for (const char* option : {"`gate_constraint`", "`hidden_size`", "`tokenizer`", "`length_factors`",
                             "`pairs`", "`seq_len`", "`samples`"}) {
    EXPECT_THAT(reference.out, HasSubstr(option));
  }
}

TEST(ExperimentsReadme, ThePlanOfEachExampleIsItsRuns) {
  const TemporaryFolder folder;
  std::filesystem::create_directory_symlink(source_folder() / "experiments/data", folder / "data");
  const std::vector<Block> examples = blocks(readme(), "yaml");
  write_blocks(examples, folder.path());
  const std::vector<std::pair<std::string, int>> expected{
      {"first.yaml", 2}, {"grid.yaml", 27}, {"workloads.yaml", 8}, {"cells.yaml", 12}, {"hybrid.yaml", 8}};
  ASSERT_THAT(examples, SizeIs(expected.size()));
  for (const auto& [name, runs] : expected) {
    const Finished plan = run_mdnlab({"plan", name, "--csv"}, {.folder = folder.path()});
    EXPECT_EQ(plan.code, 0) << name << ": " << plan.err;
    EXPECT_EQ(std::ranges::count(plan.out, '\n'), runs + 1) << name << "\n" << plan.out;
  }
}

TEST(ExperimentsReadme, ItsCommandsRun) {
  const TemporaryFolder folder;
  for (const auto& shipped : std::filesystem::directory_iterator(source_folder() / "experiments"))
    std::filesystem::create_symlink(shipped.path(), folder / shipped.path().filename());
  write_blocks(blocks(readme(), "yaml"), folder.path());
  const std::vector<Block> scripts = blocks(readme(), "sh");
  ASSERT_THAT(scripts, SizeIs(3));
  const std::string path = build_folder().string() + ":" + std::getenv("PATH");
  std::string results;
  for (const Block& script : scripts) {
    const Finished done =
        run({"sh", "-euc", script.content}, {.folder = folder.path(), .environment = {{"PATH", path}}});
    EXPECT_EQ(done.code, 0) << script.content << done.err;
    results += done.out;
  }
  EXPECT_THAT(results, testing::ContainsRegex("rule=mdn +done +40 +40"));
  EXPECT_THAT(results, testing::ContainsRegex("\\| mdn +\\| +16,792 \\|"));
  EXPECT_THAT(results, HasSubstr("\"parameters\": 417537012"));
}

TEST(Experiments, ThatShipCanBePlanned) {
  for (const auto& entry : std::filesystem::directory_iterator(source_folder() / "experiments")) {
    if (entry.path().extension() != ".yaml") continue;
    const Finished plan = run_mdnlab({"plan", entry.path().string()});
    EXPECT_EQ(plan.code, 0) << entry.path() << ": " << plan.err;
  }
}

// The rows of the README's table of models, which are named by their size: file → parameters.
std::map<std::string, std::int64_t> published_models() {
  std::map<std::string, std::int64_t> models;
  const std::regex row(R"(\n\| \[([\w.-]+-[\d.]+[mb])\]\(\1\.yaml\) .* ([\d,]+) \|)");
  const std::string text = readme();
  for (std::sregex_iterator match(text.begin(), text.end(), row), end; match != end; ++match)
    models[(*match)[1]] = std::stoll(std::regex_replace((*match)[2].str(), std::regex(","), ""));
  return models;
}

TEST(PublishedModels, HaveTheParametersOfTheirPapers) {
  const std::map<std::string, std::int64_t> models = published_models();
  ASSERT_THAT(models, SizeIs(14));
  for (const auto& [name, parameters] : models) {
    const nlohmann::json run = plan_of(name);
    EXPECT_EQ(run["name"], name);
    EXPECT_EQ(run["parameters"], parameters) << name;
  }
  EXPECT_EQ(models.at("mdn-400m"), 417'537'012);
  EXPECT_EQ(models.at("gdn-400m"), 417'278'460);
  EXPECT_EQ(models.at("mamba2-400m"), 419'778'048);
}

TEST(PublishedModels, OfAScaleDifferInTheirModelsAlone) {
  std::map<std::string, nlohmann::json> conditions;  // by scale
  for (const auto& [name, parameters] : published_models()) {
    const nlohmann::json config = plan_of(name)["config"];
    const nlohmann::json own{config["data"], config["task"], config["train"], config["eval"]};
    EXPECT_EQ(conditions.emplace(name.substr(name.rfind('-')), own).first->second, own) << name;
  }
  ASSERT_THAT(conditions, SizeIs(3));
  EXPECT_EQ(conditions["-400m"][2]["tokens_per_step"], 524'288);
  EXPECT_EQ(conditions["-1.3b"][2]["tokens_per_step"], 1'048'576);
}

}  // namespace
}  // namespace mdnlab
