#include "train/step_batches.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <set>

#include "config/yaml.h"
#include "random_documents.h"
#include "train/options.h"
#include "uneven_labels.h"

namespace mdnlab {
namespace {

const Params kOptions = read_train(
    parse_yaml("{batch_size: 4, seq_len: 24, tokens_per_step: 192, steps: 40, lr: 1e-2}", "train"));

TEST(StepBatches, FewLabelsArePickedAndNearlyAllAreNot) {
  const Params options = read_train(parse_yaml("{batch_size: 4, seq_len: 12, steps: 40, lr: 1e-2}", "train"));
  const StepBatches few = read_step(UnevenLabels(), options, 0, at::kCPU);
  EXPECT_EQ(few.rows, 1 + 2 + 3 + 4);
  EXPECT_EQ(few.batches[0].labels.numel(), 10);
  EXPECT_EQ(few.batches[0].positions.numel(), 10);
  EXPECT_EQ(few.rows_per_label.item<double>(), 1);

  const StepBatches most = read_step(RandomDocuments(), kOptions, 0, at::kCPU);
  ASSERT_EQ(most.batches.size(), 2U);
  EXPECT_EQ(most.rows, 192);
  EXPECT_FALSE(most.batches[0].positions.defined());
  EXPECT_EQ((most.batches[0].labels == no_label).sum().item<std::int64_t>(), 4);
  EXPECT_DOUBLE_EQ(most.rows_per_label.item<double>(), 192.0 / (192 - 8));
}

// Shapes stay until a batch needs more documents than any before, and what is filled up changes no other.
TEST(StepBatches, RowsHaveRoomForAsManyDocumentsAsWereSeen) {
  StepRoom room;
  std::vector<std::int64_t> sizes;
  for (std::int64_t step = 0; step < 40; ++step) {
    const StepBatches plain = read_step(RandomDocuments(), kOptions, step, at::kCPU);
    const StepBatches filled = read_step(RandomDocuments(), kOptions, step, at::kCPU, &room);
    for (std::size_t i = 0; i < 2; ++i) {
      const ops::Documents &one = plain.batches[i].documents, &other = filled.batches[i].documents;
      ASSERT_TRUE(one.exist() && other.exist());
      EXPECT_TRUE(at::equal(one.position_BT, other.position_BT));
      ASSERT_EQ((other.cu_seqlens.numel() - 1) % 4, 0) << "as many in each of four rows";
      const std::int64_t each = (other.cu_seqlens.numel() - 1) / 4;
      EXPECT_GE(each, one.most_in_a_row());
      if (sizes.empty() || sizes.back() != each) sizes.push_back(each);
      const int* start = other.cu_seqlens.const_data_ptr<int>();
      std::vector<int> distinct(start, start + other.cu_seqlens.numel());
      for (std::int64_t row = 0; row <= 4; ++row) EXPECT_EQ(distinct[row * each], row * 24);
      EXPECT_TRUE(std::is_sorted(distinct.begin(), distinct.end()));
      distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
      const int* expected = one.cu_seqlens.const_data_ptr<int>();
      EXPECT_EQ(distinct, std::vector<int>(expected, expected + one.cu_seqlens.numel()));
    }
  }
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{4, 8}));
}

TEST(StepBatches, WithoutDocumentsThereIsNoRoomForThem) {
  StepRoom room;
  const Params options = read_train(parse_yaml("{batch_size: 4, seq_len: 12, steps: 40, lr: 1e-2}", "train"));
  EXPECT_FALSE(read_step(UnevenLabels(), options, 0, at::kCPU, &room).batches[0].documents.exist());
  EXPECT_EQ(room.documents_in_a_row, 0);
}

// Batches of ten rows have 34 to 46 labels: the first takes what it has, the first that needs more gets some
// to spare, and from then on all have the shapes of that one. What is filled up has no label and counts
// nothing.
TEST(StepBatches, ThereIsRoomForAsManyLabelsAsWereSeen) {
  const Params options =
      read_train(parse_yaml("{batch_size: 10, seq_len: 12, steps: 40, lr: 1e-2}", "train"));
  StepRoom room;
  std::vector<std::int64_t> sizes;
  for (std::int64_t step = 0; step < 40; ++step) {
    const StepBatches plain = read_step(UnevenLabels(), options, step, at::kCPU);
    const StepBatches filled = read_step(UnevenLabels(), options, step, at::kCPU, &room);
    const LabelledBatch &one = plain.batches[0], &other = filled.batches[0];
    const std::int64_t labelled = one.labels.numel(), rows = other.labels.numel();
    if (sizes.empty() || sizes.back() != rows) sizes.push_back(rows);
    EXPECT_EQ(filled.rows, rows);
    EXPECT_DOUBLE_EQ(filled.rows_per_label.item<double>(), static_cast<double>(rows) / labelled);
    EXPECT_TRUE(at::equal(other.positions.narrow(0, 0, labelled), one.positions));
    EXPECT_TRUE(at::equal(other.labels.narrow(0, 0, labelled), one.labels));
    EXPECT_TRUE((other.labels.narrow(0, labelled, rows - labelled) == no_label).all().item<bool>());
    const std::int64_t* position = other.positions.const_data_ptr<std::int64_t>();
    EXPECT_EQ(std::set<std::int64_t>(position, position + rows).size(), static_cast<std::size_t>(rows));
  }
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{34, 64}));
}

TEST(StepBatches, ABatchOfEqualLabelsHasNothingToSpare) {
  const Params options = read_train(parse_yaml("{batch_size: 7, seq_len: 12, steps: 40, lr: 1e-2}", "train"));
  StepRoom room;
  for (std::int64_t step = 0; step < 10; ++step)
    EXPECT_EQ(read_step(UnevenLabels(), options, step, at::kCPU, &room).rows, 28);
}

// Two runs give the same bits, also where one was interrupted and has seen fewer batches.
TEST(StepBatches, DeterministicOnesAreNotFilledUp) {
  const Params options = read_train(
      parse_yaml("{batch_size: 10, seq_len: 12, steps: 40, lr: 1e-2, deterministic: true}", "train"));
  StepRoom room;
  for (std::int64_t step = 0; step < 10; ++step) {
    EXPECT_EQ(read_step(UnevenLabels(), options, step, at::kCPU, &room).rows,
              read_step(UnevenLabels(), options, step, at::kCPU).rows);
  }
}

}  // namespace
}  // namespace mdnlab
