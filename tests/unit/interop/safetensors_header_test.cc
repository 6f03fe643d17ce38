#include "interop/safetensors_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

namespace mdnlab {
namespace {

using ::testing::HasSubstr;

std::string file_of(std::uint64_t header_bytes, const std::string& rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &header_bytes, 8);
  return bytes + rest;
}

// A file with this header and `data_bytes` zeros after it.
std::string file_with(const std::string& json, std::size_t data_bytes) {
  return file_of(json.size(), json + std::string(data_bytes, '\0'));
}

struct BadFile {
  const char* name;
  std::string bytes;
  std::string message;  // a part of it
};

void PrintTo(const BadFile& bad, std::ostream* out) {
  *out << bad.name;
}

class BadSafetensors : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadSafetensors, IsRefusedWithItsReason) {
  try {
    read_safetensors_header(GetParam().bytes, "w.safetensors");
    FAIL() << "read without complaint";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::usage);
    EXPECT_THAT(error.what(), HasSubstr("w.safetensors: "));
    EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
  }
}

std::string times(const std::string& text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

std::string tensor_a(const std::string& body) {
  return R"({"a":{)" + body + "}}";
}

const BadFile bad_files[] = {
    {"Empty", "", "cut short; found 0 bytes, expected at least 8"},
    {"SevenBytes", "1234567", "found 7 bytes"},
    {"HeaderBeyondTheFile", file_of(100, "{}"),
     "found 2 bytes after the length, expected a header of 100 bytes"},
    {"HugeHeader", file_of(~std::uint64_t{0}, "{}"), "a header of 18446744073709551615 bytes"},
    {"EmptyHeader", file_of(0, ""), "is not JSON"},
    {"NotJson", file_with("{\"a\":", 0), "is not JSON"},
    {"TrailingText", file_with("{} x", 0), "is not JSON"},
    {"InvalidUtf8", file_with("{\"\xff\":1}", 0), "is not JSON"},
    {"DeepNesting", file_with(std::string(200000, '['), 0), "is not JSON"},
    {"List", file_with("[]", 0), "no JSON object; found array"},
    {"TensorTwice",
     file_with(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
               R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
               0),
     "names 'a' twice"},
    {"KeyTwice", file_with(tensor_a(R"("dtype":"U8","dtype":"F32","shape":[0],"data_offsets":[0,0])"), 0),
     "names 'dtype' twice"},
    {"NoObject", file_with(R"({"a":3})", 0), "tensor 'a' is no JSON object; found number"},
    {"NoDtype", file_with(tensor_a(R"("shape":[0],"data_offsets":[0,0])"), 0), "tensor 'a' has no dtype"},
    {"UnknownDtype", file_with(tensor_a(R"("dtype":"F8_E4M3","shape":[0],"data_offsets":[0,0])"), 0),
     "tensor 'a' has an unknown dtype; found 'F8_E4M3', expected one of F64"},
    {"DtypeIsANumber", file_with(tensor_a(R"("dtype":3,"shape":[0],"data_offsets":[0,0])"), 0),
     "tensor 'a': dtype is no text; found number"},
    {"NoShape", file_with(tensor_a(R"("dtype":"U8","data_offsets":[0,0])"), 0), "tensor 'a' has no shape"},
    {"ShapeIsText", file_with(tensor_a(R"("dtype":"U8","shape":"2","data_offsets":[0,0])"), 0),
     "tensor 'a': shape is no list of sizes; found string"},
    {"NegativeSize", file_with(tensor_a(R"("dtype":"U8","shape":[-1],"data_offsets":[0,0])"), 0),
     "tensor 'a': shape is no list of sizes; found -1"},
    {"FractionalSize", file_with(tensor_a(R"("dtype":"U8","shape":[1.5],"data_offsets":[0,1])"), 1),
     "found 1.5"},
    {"SizeBeyondEveryNumber", file_with(tensor_a(R"("dtype":"U8","shape":[1e400],"data_offsets":[0,0])"), 0),
     "is not JSON"},
    {"ManyDimensions", file_with(tensor_a(R"("dtype":"U8","shape":[0)" + times(",1", 64) + R"(],"data_offsets":[0,0])"), 0),
     "tensor 'a' has too many dimensions; found 65, expected at most 64"},
    {"HugeSize", file_with(tensor_a(R"("dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,0])"), 0),
     "found 9223372036854775808"},
    {"OverflowingShape",
     file_with(tensor_a(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0),
     "tensor 'a' has a shape of more than 2^63 bytes"},
    {"OverflowingEmptyShape",
     file_with(tensor_a(R"("dtype":"F32","shape":[4294967296,0,4294967296],"data_offsets":[0,0])"), 0),
     "tensor 'a' has a shape of more than 2^63 bytes"},
    {"NoOffsets", file_with(tensor_a(R"("dtype":"U8","shape":[0])"), 0), "tensor 'a' has no data_offsets"},
    {"OneOffset", file_with(tensor_a(R"("dtype":"U8","shape":[0],"data_offsets":[0])"), 0),
     "outside the file"},
    {"FallingOffsets", file_with(tensor_a(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])"), 1),
     "tensor 'a' lies outside the file; found data_offsets [1,0]"},
    {"BeyondTheData", file_with(tensor_a(R"("dtype":"U8","shape":[5],"data_offsets":[0,5])"), 4),
     "tensor 'a' lies outside the file; found data_offsets [0,5], expected two rising offsets of at most 4"},
    {"ShapeAndBytesDiffer", file_with(tensor_a(R"("dtype":"F32","shape":[2,3],"data_offsets":[0,4])"), 4),
     "tensor 'a' has another size than its shape; found 4 bytes, expected 24 bytes for F32 [2,3]"},
    {"Overlap",
     file_with(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
               R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
               6),
     "tensor 'b' overlaps the one before it; found offset 2, expected offset 4"},
    {"Gap",
     file_with(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
               R"("b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
               6),
     "tensor 'b' follows a gap in the data; found offset 4, expected offset 2"},
    {"DataWithoutTensor", file_with(tensor_a(R"("dtype":"U8","shape":[2],"data_offsets":[0,2])"), 3),
     "the tensors do not cover the data; found 3 bytes of data, expected 2 bytes"},
    {"MetadataIsText", file_with(R"({"__metadata__":"x"})", 0), "__metadata__ is no map of texts"},
    {"MetadataOfNumbers", file_with(R"({"__metadata__":{"step":3}})", 0),
     "the metadata 'step' is no text; found number"},
};

INSTANTIATE_TEST_SUITE_P(Corpus, BadSafetensors, ::testing::ValuesIn(bad_files),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(SafetensorsHeader, NoMessageRepeatsBytesThatAreNoText) {
  try {
    read_safetensors_header(file_with("{\"" + std::string(100000, 'x') + "\xf2\":1}", 0), "w");
    FAIL();
  } catch (const Error& error) {
    EXPECT_LT(std::string(error.what()).size(), 300u);
    EXPECT_EQ(invalid_utf8(error.what()), std::string::npos);
  }
}

TEST(SafetensorsHeader, ReadsTensorsInTheOrderOfTheirData) {
  const auto header = read_safetensors_header(
      file_with(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"I32","shape":[2],"data_offsets":[4,12]},)"
                R"("empty":{"dtype":"F64","shape":[3,0],"data_offsets":[4,4]},)"
                R"("z":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}     )",
                12),
      "w");
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.tensors[0].name, "z");
  EXPECT_EQ(header.tensors[0].type, TensorType::f32);
  EXPECT_TRUE(header.tensors[0].shape.empty());
  EXPECT_EQ(header.tensors[1].name, "empty");
  EXPECT_EQ(header.tensors[2].name, "a");
  EXPECT_EQ(header.tensors[2].begin, 4);
  EXPECT_EQ(header.tensors[2].end, 12);
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(SafetensorsHeader, AFileWithoutTensorsIsWhole) {
  EXPECT_TRUE(read_safetensors_header(file_with("{}", 0), "w").tensors.empty());
}

SafetensorsHeader sample() {
  return {.tensors = {{.name = "flags", .type = TensorType::boolean, .shape = {3}},
                      {.name = "b", .type = TensorType::f32, .shape = {2, 2}},
                      {.name = "a \"quoted\" ä", .type = TensorType::bf16, .shape = {5}},
                      {.name = "count", .type = TensorType::i64, .shape = {}},
                      {.name = "a", .type = TensorType::f32, .shape = {0, 7}}},
          .metadata = {{"format", "pt"}}};
}

std::string sample_file() {
  SafetensorsHeader header = sample();
  return write_safetensors_header(header) + std::string(8 + 16 + 10 + 3, '\0');
}

TEST(SafetensorsHeader, WritesWhatItReadsAndAlignsEveryTensor) {
  const std::string file = sample_file();
  const auto header = read_safetensors_header(file, "w");
  EXPECT_EQ(header.data_start % 8, 0);
  EXPECT_EQ(header.metadata, sample().metadata);
  std::string names;
  for (const auto& tensor : header.tensors) {
    names += tensor.name + ",";
    EXPECT_EQ(tensor.begin % tensor_type_bytes(tensor.type), 0) << tensor.name;
  }
  EXPECT_EQ(names, "count,a,b,a \"quoted\" ä,flags,");
  EXPECT_EQ(header.tensors[1].shape, (std::vector<std::int64_t>{0, 7}));
}

TEST(SafetensorsHeader, BytesDoNotDependOnTheOrderOfTheTensors) {
  SafetensorsHeader forward = sample();
  SafetensorsHeader backward = sample();
  std::reverse(backward.tensors.begin(), backward.tensors.end());
  EXPECT_EQ(write_safetensors_header(forward), write_safetensors_header(backward));
}

TEST(SafetensorsHeader, ANameIsWrittenOnce) {
  SafetensorsHeader twice{.tensors = {{.name = "a"}, {.name = "a"}}};
  EXPECT_THROW(write_safetensors_header(twice), Error);
  SafetensorsHeader reserved{.tensors = {{.name = "__metadata__"}}};
  EXPECT_THROW(write_safetensors_header(reserved), Error);
}

std::string mutated(std::string bytes, Random& random) {
  const std::uint64_t mutations = 1 + random.below(3);
  for (std::uint64_t i = 0; i < mutations && !bytes.empty(); ++i) {
    const std::size_t at = random.below(bytes.size());
    switch (random.below(5)) {
      case 0:
        bytes[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        bytes[at] = static_cast<char>("0123456789[]{},:\""[random.below(17)]);
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.insert(at, bytes.substr(random.below(bytes.size()), 1 + random.below(20)));
        break;
      default:
        bytes.erase(at, 1 + random.below(4));
    }
  }
  return bytes;
}

// Whatever is read keeps the header's promises; whatever is not is refused with Code::usage.
TEST(SafetensorsHeader, RandomMutationsAreReadSafelyOrRefused) {
  constexpr std::uint64_t seed = 7;
  Random random{seed};
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    const std::string bytes = mutated(sample_file(), random);
    try {
      const auto header = read_safetensors_header(bytes, "w");
      std::int64_t covered = 0;
      for (const auto& tensor : header.tensors) {
        ASSERT_EQ(tensor.begin, covered);
        std::int64_t wanted = tensor_type_bytes(tensor.type);
        for (const std::int64_t size : tensor.shape) wanted *= size;
        ASSERT_EQ(tensor.end - tensor.begin, wanted);
        covered = tensor.end;
      }
      ASSERT_EQ(header.data_start + covered, static_cast<std::int64_t>(bytes.size()));
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), Code::usage);
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 2000);  // a mutation of the data alone leaves the header whole
}

}  // namespace
}  // namespace mdnlab
