// What a layer's forward and backward pass hold at their fullest grows with the tokens, not with their
// square.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "check/peak_memory.h"
#include "check/suite.h"

namespace mdnlab::check {
namespace {

using Settings = std::vector<std::string>;

Layer layer_of(const Plugin& plugin, const Settings& settings = {}) {
  return {layer_choices(plugin, settings).front(), at::kFloat, 1};
}

std::int64_t peak_bytes(const Layer& layer, std::int64_t tokens, const ops::Documents& documents = {}) {
  const at::Tensor x = layer.input(1, tokens).requires_grad_(true),
                   adjoint = layer.input(1, tokens, "adjoint");
  const PeakMemory memory;
  torch::autograd::grad({layer.whole(x, documents)}, {x}, {adjoint});
  return memory.bytes();
}

// A mask of one byte a pair of tokens would be 64 MiB, a window of 64 takes 20.
constexpr std::int64_t kTokens = 8192;

void expect_linear(std::int64_t half, std::int64_t whole) {
  EXPECT_GT(half, 0);
  EXPECT_LT(static_cast<double>(whole), 2.05 * static_cast<double>(half)) << half << " bytes, then " << whole;
}

TEST(LayerMemory, GrowsLinearlyWithTheTokens) {
  const Plugins plugins;
  for (const Plugin& plugin : plugins.all()) {
    SCOPED_TRACE(plugin.info().name);
    const Layer layer = layer_of(plugin);
    expect_linear(peak_bytes(layer, kTokens / 2), peak_bytes(layer, kTokens));
  }
}

TEST(LayerMemory, OfAWindowGrowsLinearlyAlsoOverDocuments) {
  const Plugins plugins;
  const Layer layer = layer_of(plugins.find("sliding_attention"), {"window=64"});
  expect_linear(peak_bytes(layer, kTokens / 2), peak_bytes(layer, kTokens));
  expect_linear(peak_bytes(layer, kTokens / 2, ops::documents(1, kTokens / 2, {kTokens / 4})),
                peak_bytes(layer, kTokens, ops::documents(1, kTokens, {kTokens / 4, kTokens / 2})));
}

// A prompt read in parts: the second goes on from the window that the first left.
TEST(LayerMemory, OfAWindowGrowsLinearlyAlsoAfterAPrompt) {
  const Plugins plugins;
  const Layer layer = layer_of(plugins.find("sliding_attention"), {"window=64"});
  const auto peak = [&](std::int64_t tokens) {
    LayerState state;
    layer.next(layer.input(1, 100), state);
    const at::Tensor x = layer.input(1, tokens);
    const PeakMemory memory;
    layer.next(x, state);
    return memory.bytes();
  };
  expect_linear(peak(kTokens / 2), peak(kTokens));
}

}  // namespace
}  // namespace mdnlab::check
