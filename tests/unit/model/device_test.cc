// The model does not care where it is: a training pass where there is no memory to read by mistake.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "config/yaml.h"
#include "model/language_model.h"
#include "scan/rehearsal.h"

namespace mdnlab {
namespace {

constexpr const char* hybrid = R"(
model: {hidden_size: 16, num_hidden_layers: 4, num_heads: 2,
        layers: [mdn, {name: mamba2, head_width: 8, state_size: 4}, kda, attention]}
)";

TEST(AnyDevice, AHybridTrainsWithItsDocuments) {
  prepare_meta_device();
  const Plugins plugins;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const LanguageModel model(read_model(parse_yaml(hybrid, "model"), plugins), plugins, 50, dtype, 1,
                              at::kMeta);
    EXPECT_TRUE(model.device().is_meta());
    const auto whole = at::TensorOptions(at::kMeta).dtype(at::kLong);
    const at::Tensor tokens = at::empty({2, 40}, whole), labels = at::empty({80}, whole);
    const ops::Documents documents = ops::documents(2, 40, {7, 60}).to(model.device());
    const at::Tensor logits = model.logits(model.hidden(tokens, documents).flatten(0, 1));
    EXPECT_EQ(logits.scalar_type(), at::kFloat);
    at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum).backward();
    for (const Parameter& parameter : model.parameters()) {
      ASSERT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
      EXPECT_TRUE(parameter.tensor.grad().is_meta()) << parameter.name;
      EXPECT_EQ(parameter.tensor.grad().scalar_type(), at::kFloat) << parameter.name;
    }
  }
}

}  // namespace
}  // namespace mdnlab
