// The header of a safetensors file: whatever is accepted keeps every promise of safetensors_header.h.
#include <set>
#include <string_view>

#include "interop/safetensors_header.h"
#include "target.h"

namespace {

using namespace mdnlab;

void check(const SafetensorsHeader& header, std::size_t file_bytes) {
  std::int64_t covered = 0;
  std::set<std::string_view> names;
  for (const TensorEntry& tensor : header.tensors) {
    require(names.insert(tensor.name).second, "a name twice");
    require(tensor.begin == covered && tensor.end >= tensor.begin, "a gap or an overlap");
    std::int64_t bytes = tensor_type_bytes(tensor.type);
    for (const std::int64_t size : tensor.shape) require(!__builtin_mul_overflow(bytes, size, &bytes), "overflow");
    require(tensor.end - tensor.begin == bytes, "bytes other than the shape's");
    covered = tensor.end;
  }
  require(header.data_start + covered == static_cast<std::int64_t>(file_bytes), "bytes of no tensor");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_or_refuse([&] { check(read_safetensors_header(bytes, "fuzz"), size); });

  // The same bytes as the JSON of a file whose length is right, since a random length hides the header's text.
  std::string sealed(8, '\0');
  for (int byte = 0; byte < 8; ++byte) sealed[byte] = static_cast<char>(size >> (8 * byte));
  sealed += bytes;
  sealed.append(64, 'x');
  read_or_refuse([&] { check(read_safetensors_header(sealed, "fuzz"), sealed.size()); });
  return 0;
}
