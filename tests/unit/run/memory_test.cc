// What is said of memory before a run, and after it ran out.
#include "run/memory.h"

#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "../error_of.h"
#include "config/yaml.h"
#include "train/options.h"

namespace mdnlab {
namespace {

constexpr std::int64_t gib = std::int64_t{1} << 30;

DeviceMemory card(std::int64_t free, std::int64_t others = 0, std::int64_t peak = 0) {
  return {.device = "NVIDIA H200", .total = 140 * gib, .free = free, .others = others, .peak = peak};
}

Params train(const std::string& text) { return read_train(parse_yaml(text, "train.yaml")); }

TEST(Memory, AnEstimateThatFitsIsNoWord) { EXPECT_EQ(memory_warning(100 * gib, gib, card(140 * gib)), ""); }

TEST(Memory, AnEstimateBeyondWhatIsFreeIsAWarning) {
  EXPECT_EQ(
      memory_warning(100 * gib, gib, card(60 * gib, 80 * gib)),
      "the run is estimated at 100.0 GiB, and NVIDIA H200 has 140.0 GiB, 80.0 GiB of it held by others: it "
      "may run out of memory");
  EXPECT_EQ(memory_warning(200 * gib, gib, card(139 * gib)),
            "the run is estimated at 200.0 GiB, and NVIDIA H200 has 140.0 GiB: it may run out of memory");
}

TEST(Memory, WeightsThatCannotFitAreAnError) {
  const Error error = error_of([] { memory_warning(300 * gib, 150 * gib, card(140 * gib)); });
  EXPECT_EQ(error.code(), Code::failed);
  EXPECT_STREQ(
      error.what(),
      "the weights, their gradients and AdamW's moments alone do not fit; found 150.0 GiB; NVIDIA H200 "
      "has 140.0 GiB; a smaller model, or a larger device");
}

TEST(Memory, RunningOutNamesTheSettingToLower) {
  const Params several = train("{batch_size: 8, seq_len: 4096, tokens_per_step: 65536, steps: 9}");
  EXPECT_STREQ(
      out_of_memory(several, 90 * gib, card(gib, 30 * gib, 109 * gib)).what(),
      "out of memory; found 109.0 GiB in use at most, 90.0 GiB estimated; NVIDIA H200 has 140.0 GiB, 30.0 "
      "GiB of it held by others; lower train.batch_size (it is 8) and keep tokens_per_step: 65536: the run "
      "learns the same, in smaller pieces");
  const Params one = train("{batch_size: 1, seq_len: 4096, steps: 9}");
  EXPECT_THAT(
      out_of_memory(one, 90 * gib, card(gib)).what(),
      testing::EndsWith("train.batch_size is 1: lower train.seq_len (it is 4096), or the model's sizes"));
  EXPECT_EQ(out_of_memory(one, 90 * gib, card(gib)).code(), Code::failed);
}

TEST(Memory, RunningOutIsKnownInAllItsWords) {
  EXPECT_TRUE(is_out_of_memory(std::bad_alloc()));
  const auto torch = [](const char* words) {
    return c10::Error({__func__, __FILE__, static_cast<std::uint32_t>(__LINE__)}, words);
  };
  EXPECT_TRUE(
      is_out_of_memory(c10::OutOfMemoryError({__func__, __FILE__, 1}, "CUDA out of memory. Tried …")));
  EXPECT_TRUE(is_out_of_memory(torch("CUDA error: out of memory")));
  EXPECT_TRUE(
      is_out_of_memory(torch("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")));
  EXPECT_TRUE(is_out_of_memory(torch("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")));
  EXPECT_FALSE(is_out_of_memory(torch("CUDA error: an illegal memory access was encountered")));
  EXPECT_FALSE(is_out_of_memory(std::runtime_error("no memory of it")));
}

TEST(Memory, TheHostTellsItsOwn) {
  const DeviceMemory host = device_memory(c10::kCPU);
  EXPECT_GT(host.total, gib / 4);
  EXPECT_GT(host.peak, 1 << 20);
  EXPECT_LE(host.peak, host.total);
}

}  // namespace
}  // namespace mdnlab
