// Every rule is described beside its source: each option and each learned gate is named there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "layer.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;

TEST(Readme, OfEveryRuleNamesItsOptionsGatesStabilityAndSource) {
  const char* source = std::getenv("MDNLAB_SOURCE");
  ASSERT_NE(source, nullptr);
  ASSERT_FALSE(plugins().all().empty());
  for (const Plugin& plugin : plugins().all()) {
    const std::string name = plugin.info().name;
    std::ifstream file(std::string(source) + "/plugins/" + name + "/README.md");
    ASSERT_TRUE(file) << name << " has no README.md";
    std::ostringstream text;
    text << file.rdbuf();
    EXPECT_THAT(text.str(), testing::StartsWith("# " + name + ": "));
    for (const char* part : {"\n## Stability\n", "\nSource: "})
      EXPECT_THAT(text.str(), HasSubstr(part)) << name;
    for (const Field& option : plugin.options())
      EXPECT_THAT(text.str(), HasSubstr(std::string("`") + option.name)) << name;
    for (const ParameterSpec& spec :
         make_rule(name, {}, {.hidden_size = 128, .num_heads = 2, .head_dim = 64})->parameters()) {
      const std::string gate = spec.name.substr(0, spec.name.find('.'));
      const bool is_gate = !spec.decays && spec.name.find("norm") == std::string::npos && gate != "conv1d";
      if (is_gate) {
        EXPECT_THAT(text.str(), HasSubstr(gate)) << name;
      }
    }
  }
}

}  // namespace
}  // namespace mdnlab
