// The header of a safetensors file, without torch: 8 bytes of length (little-endian), that many bytes
// of JSON, then the tensors' raw data. Reads and writes text only, so that it can be fuzzed alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mdnlab {

enum class TensorType { f64, f32, f16, bf16, i64, i32, u8, boolean };

std::string_view tensor_type_word(
    TensorType type);                             // as the file spells it: F64 F32 F16 BF16 I64 I32 U8 BOOL
std::int64_t tensor_type_bytes(TensorType type);  // of one element

struct TensorEntry {
  std::string name;
  TensorType type = TensorType::f32;
  std::vector<std::int64_t> shape;  // empty for a scalar; at most 64 sizes
  std::int64_t begin = 0;           // bytes from the start of the data, [begin, end)
  std::int64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;
  std::map<std::string, std::string> metadata;
  std::int64_t data_start = 0;  // bytes from the start of the file
};

// Reads the header of a whole file's bytes; `file` is for messages. Guarantees for every tensor:
// 0 <= begin <= end <= size of the data, end - begin = bytes of type and shape, names differ, and the
// tensors, returned in the order of their data, cover it without gap or overlap.
// Anything else is an Error with Code::usage that names the file and the tensor.
SafetensorsHeader read_safetensors_header(std::string_view bytes, const std::string& file);

// Orders the tensors by element size, largest first, then by name, which aligns each one, and sets their
// offsets and data_start. Returns the bytes that stand before the data: their number is a multiple of 8.
std::string write_safetensors_header(SafetensorsHeader& header);

}  // namespace mdnlab
