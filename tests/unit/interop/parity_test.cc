// Models of the authors' own code, frozen with the log-probabilities it gave them
// (tests/data/peers/README.md).
#include <gtest/gtest.h>

#include <cmath>

#include "eval/log_probabilities.h"
#include "peers.h"

namespace mdnlab {
namespace {

class Parity : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Peers, Parity, testing::ValuesIn(peer_names()),
                         [](const auto& info) { return info.param; });

TEST_P(Parity, LogProbabilitiesAreTheAuthors) {
  const std::filesystem::path folder = peers_folder() / GetParam();
  const StoredModel stored = read_stored_model(folder, plugins());
  const LanguageModel model = build_model(stored, plugins(), at::kFloat);
  const nlohmann::json expectations = read_json(folder / "expected.json");
  ASSERT_EQ(expectations["sequences"].size(), 7u);
  for (const auto& sequence : expectations["sequences"]) {
    const auto tokens = sequence["tokens"].get<std::vector<std::int64_t>>();
    const auto expected = sequence["logprobs"].get<std::vector<double>>();
    const std::vector<double> found = log_probabilities(model, tokens);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t t = 0; t < expected.size(); ++t) {
      ASSERT_NEAR(found[t], expected[t], 2e-5) << "token " << t + 1 << " of " << tokens.size();
    }
  }
}

TEST(LogProbabilities, OfALongTextAreThoseOfItsPartsWithTheStateCarried) {
  const StoredModel stored = make_model(
      "model: {hidden_size: 8, num_hidden_layers: 2, num_heads: 2, intermediate_size: 8, "
      "layers: [gated_deltanet, {name: sliding_attention, window: 30}]}");
  const LanguageModel model = build_model(stored, plugins(), at::kDouble);
  std::vector<std::int64_t> tokens;
  for (std::int64_t t = 0; t < 4300; ++t) tokens.push_back(t * t % 11);
  const std::vector<double> found = log_probabilities(model, tokens);
  ASSERT_EQ(found.size(), tokens.size() - 1);
  // The first segment is 4,096 tokens; a prefix that fits in one knows nothing of segments.
  const std::vector<double> prefix = log_probabilities(model, std::span(tokens).first(4097));
  for (std::size_t t = 0; t < prefix.size(); ++t) ASSERT_NEAR(found[t], prefix[t], 1e-12);
  // Probabilities over the vocabulary sum to one after the cut too.
  double sum = 0;
  for (std::int64_t id = 0; id < 11; ++id) {
    tokens.back() = id;
    sum += std::exp(log_probabilities(model, tokens).back());
  }
  EXPECT_NEAR(sum, 1, 1e-12);
  EXPECT_TRUE(log_probabilities(model, std::span(tokens).first(1)).empty());
  EXPECT_TRUE(log_probabilities(model, {}).empty());
}

}  // namespace
}  // namespace mdnlab
