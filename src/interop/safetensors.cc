#include "interop/safetensors.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "interop/safetensors_header.h"

namespace mdnlab {
namespace {

constexpr std::pair<TensorType, at::ScalarType> types[] = {
    {TensorType::f64, at::kDouble},    {TensorType::f32, at::kFloat},   {TensorType::f16, at::kHalf},
    {TensorType::bf16, at::kBFloat16}, {TensorType::i64, at::kLong},    {TensorType::i32, at::kInt},
    {TensorType::u8, at::kByte},       {TensorType::boolean, at::kBool}};

at::ScalarType scalar_type(TensorType type) {
  return std::ranges::find(types, type, &std::pair<TensorType, at::ScalarType>::first)->second;
}

const auto* row_of(at::ScalarType type) {
  return std::ranges::find(types, type, &std::pair<TensorType, at::ScalarType>::second);
}

TensorType tensor_type(const std::string& name, at::ScalarType type) {
  const auto* row = row_of(type);
  if (row == std::end(types)) {
    throw Error(Code::failed, ErrorText{.what = "tensor " + quote(name) + " cannot be written as safetensors",
                                        .found = c10::toString(type),
                                        .expected = "one of F64, F32, F16, BF16, I64, I32, U8, BOOL"});
  }
  return row->first;
}

at::Tensor read_tensor(const TensorEntry& entry, std::string_view data, const std::filesystem::path& path) {
  const std::string_view bytes = data.substr(entry.begin, entry.end - entry.begin);
  // Any other byte in a bool is undefined behaviour.
  if (entry.type == TensorType::boolean &&
      std::ranges::any_of(bytes, [](unsigned char byte) { return byte > 1; })) {
    throw Error(Code::usage,
                ErrorText{.place = {.file = path.string()},
                          .what = "tensor " + quote(entry.name) + " holds a BOOL other than 0 and 1"});
  }
  at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(scalar_type(entry.type)));
  if (!bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace

std::string file_dtype(at::ScalarType type) {
  const auto* row = row_of(type);
  return row == std::end(types) ? c10::toString(type) : std::string(tensor_type_word(row->first));
}

Safetensors read_safetensors(const std::filesystem::path& path) {
  const MappedFile file(path);
  const SafetensorsHeader header = read_safetensors_header(file.text(), path.string());
  const std::string_view data = file.text().substr(header.data_start);
  Safetensors result{.tensors = {}, .metadata = header.metadata};
  for (const TensorEntry& entry : header.tensors) result.tensors[entry.name] = read_tensor(entry, data, path);
  return result;
}

void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata) {
  SafetensorsHeader header{.tensors = {}, .metadata = metadata};
  TensorMap contiguous;
  for (const auto& [name, tensor] : tensors) {
    header.tensors.push_back(
        {.name = name, .type = tensor_type(name, tensor.scalar_type()), .shape = tensor.sizes().vec()});
    contiguous[name] = tensor.detach().to(at::kCPU).contiguous();
  }
  const std::string start = write_safetensors_header(header);
  std::vector<std::string_view> pieces{start};
  for (const TensorEntry& entry : header.tensors) {
    pieces.emplace_back(static_cast<const char*>(contiguous[entry.name].const_data_ptr()),
                        entry.end - entry.begin);
  }
  replace_file(path, pieces);
}

}  // namespace mdnlab
