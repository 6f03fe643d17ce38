// Whatever the bytes are, parse_yaml returns a tree or throws an Error.
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "base/random.h"
#include "config/yaml.h"

namespace mdnlab {
namespace {

constexpr std::string_view seeds[] = {
    "schema: 1\nrule: {name: mdn, min_log_mu: -2}\ntrain:\n  steps: 100\n  betas: [0.9, 0.95]\n",
    "sweep:\n  - a: 'x'\n    b: \"y\\n\\u0041\"\n  - ? [k]\n    : v\n  - |\n    text\n  - >-\n    folded\n",
    "%YAML 1.2\n--- !t &a {x: *a, <<: ~}\n...\n---\n!!str q: !<tag:x> z\n",
    "- - - a: b: c\n- {[]: {}, ? : }\n- # note\n-\t-\n"};

// True when the bytes make a tree.
bool parses(const std::string& text) {
  try {
    parse_yaml(text, "fuzz");
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_EQ(error.text().place.file, "fuzz");
    return false;
  }
}

TEST(YamlFuzz, RandomBytes) {
  Random random{1};
  for (int i = 0; i < 3000; ++i) {
    std::string text(random.below(80), '\0');
    for (char& c : text) c = static_cast<char>(random.below(256));
    parses(text);
  }
}

TEST(YamlFuzz, RandomPunctuation) {
  constexpr std::string_view alphabet = "{}[]:,-?&*!|>'\"%@`#~ \n\t\rab1.\\<=_";
  Random random{2};
  int trees = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text(random.below(40), '\0');
    for (char& c : text) c = alphabet[random.below(alphabet.size())];
    trees += parses(text);
  }
  EXPECT_GT(trees, 100);  // some of them are documents
}

TEST(YamlFuzz, MutatedDocuments) {
  Random random{3};
  int trees = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text(seeds[random.below(std::size(seeds))]);
    for (std::uint64_t edits = 1 + random.below(4); edits > 0; --edits) {
      const std::size_t at = random.below(text.size() + 1);
      const std::string_view other = seeds[random.below(std::size(seeds))];
      switch (random.below(4)) {
        case 0: text.erase(at, random.below(8)); break;
        case 1: text.insert(at, 1, static_cast<char>(random.below(128))); break;
        case 2: text.insert(at, other.substr(random.below(other.size()), random.below(20))); break;
        default: text.resize(at); break;
      }
    }
    trees += parses(text);
  }
  EXPECT_GT(trees, 1000);
  EXPECT_LT(trees, 19000);
}

TEST(YamlFuzz, LongRunsOfOneCharacter) {
  for (const char* piece :
       {"[", "{", "- ", "? ", ": ", "a: ", "!", "&a ", "'", "\"", "|", "%", "\n", "[{", "- [", "{a: ["}) {
    std::string text;
    for (int i = 0; i < 20000; ++i) text += piece;
    parses(text);
  }
}

}  // namespace
}  // namespace mdnlab
