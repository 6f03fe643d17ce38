#include "interop/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <limits>

#include "../temporary_folder.h"
#include "base/error.h"
#include "base/file.h"

namespace mdnlab {
namespace {

using ::testing::HasSubstr;

std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  return {static_cast<const char*>(whole.const_data_ptr()), whole.nbytes()};
}

void expect_same(const TensorMap& found, const TensorMap& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_EQ(found.count(name), 1u) << name;
    const at::Tensor& other = found.at(name);
    EXPECT_EQ(other.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(other.sizes(), tensor.sizes()) << name;
    EXPECT_EQ(bytes_of(other), bytes_of(tensor)) << name;
  }
}

TensorMap every_type() {
  TensorMap tensors;
  for (const auto type :
       {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kByte}) {
    tensors[c10::toString(type)] = at::arange(7, at::TensorOptions().dtype(type));
  }
  tensors["bool"] = at::arange(3, at::kLong).eq(1);
  tensors["scalar"] = at::full({}, 2.5, at::kFloat);
  tensors["empty"] = at::zeros({3, 0, 2}, at::kFloat);
  return tensors;
}

TEST(Safetensors, EveryTypeComesBackBitForBit) {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> metadata{{"format", "pt"}, {"step", "12"}};
  write_safetensors(folder / "w.safetensors", every_type(), metadata);
  const Safetensors read = read_safetensors(folder / "w.safetensors");
  expect_same(read.tensors, every_type());
  EXPECT_EQ(read.metadata, metadata);
}

TEST(Safetensors, NotANumberInfinityAndNegativeZeroKeepTheirBits) {
  const TemporaryFolder folder;
  const float infinity = std::numeric_limits<float>::infinity();
  const TensorMap tensors{{"x", at::tensor({-0.0f, infinity, -infinity, std::nanf("7"), 1e-45f})}};
  write_safetensors(folder / "w", tensors);
  expect_same(read_safetensors(folder / "w").tensors, tensors);
}

TEST(Safetensors, StridesAndGradientsAreLeftBehind) {
  const TemporaryFolder folder;
  const at::Tensor matrix = at::arange(12, at::kFloat).reshape({3, 4});
  write_safetensors(folder / "w", {{"x", matrix.t().set_requires_grad(true)}, {"row", matrix.select(1, 2)}});
  const TensorMap read = read_safetensors(folder / "w").tensors;
  EXPECT_TRUE(read.at("x").is_contiguous());
  EXPECT_FALSE(read.at("x").requires_grad());
  EXPECT_TRUE(at::equal(read.at("x"), matrix.t()));
  EXPECT_TRUE(at::equal(read.at("row"), at::tensor({2.0f, 6.0f, 10.0f})));
}

TEST(Safetensors, WhatIsReadLivesWithoutTheFile) {
  const TemporaryFolder folder;
  write_safetensors(folder / "w", {{"x", at::arange(1000, at::kFloat)}});
  at::Tensor x = read_safetensors(folder / "w").tensors.at("x");
  std::filesystem::remove(folder / "w");
  x.add_(1);
  EXPECT_EQ(x[999].item<float>(), 1000.0f);
}

TEST(Safetensors, EqualTensorsGiveEqualBytes) {
  const TemporaryFolder folder;
  write_safetensors(folder / "one", every_type(), {{"b", "2"}, {"a", "1"}});
  write_safetensors(folder / "two", every_type(), {{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(read_file(folder / "one"), read_file(folder / "two"));
}

TEST(Safetensors, ReplacesAnOldFileAndLeavesNothingElse) {
  const TemporaryFolder folder;
  write_safetensors(folder / "w", {{"old", at::zeros({1000}, at::kFloat)}});
  write_safetensors(folder / "w", {});
  EXPECT_TRUE(read_safetensors(folder / "w").tensors.empty());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Safetensors, ATypeThatTheFormatLacksIsNamed) {
  const TemporaryFolder folder;
  try {
    write_safetensors(folder / "w", {{"wave", at::zeros({2}, at::kComplexFloat)}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::failed);
    EXPECT_THAT(error.what(),
                HasSubstr("tensor 'wave' cannot be written as safetensors; found ComplexFloat"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "w"));
}

void expect_unreadable(const std::filesystem::path& file, const std::string& message) {
  try {
    read_safetensors(file);
    FAIL() << "read without complaint";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(), HasSubstr(file.string()));
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

TEST(Safetensors, MissingAndCutShortFilesAreNamed) {
  const TemporaryFolder folder;
  expect_unreadable(folder / "absent", "No such file");
  write_safetensors(folder / "w", every_type());
  const std::string whole = read_file(folder / "w");
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{7}, std::size_t{200}, whole.size() - 1}) {
    write_file(folder / "cut", whole.substr(0, bytes));
    expect_unreadable(folder / "cut",
                      bytes == whole.size() - 1 ? "tensor 'bool' lies outside the file" : "cut short");
  }
}

TEST(Safetensors, ABoolIsZeroOrOne) {
  const TemporaryFolder folder;
  write_safetensors(folder / "w", {{"mask", at::zeros({4}, at::kBool)}});
  std::string bytes = read_file(folder / "w");
  bytes.back() = 2;
  write_file(folder / "w", bytes);
  expect_unreadable(folder / "w", "tensor 'mask' holds a BOOL other than 0 and 1");
}

}  // namespace
}  // namespace mdnlab
