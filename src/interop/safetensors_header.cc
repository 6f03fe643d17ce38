#include "interop/safetensors_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace mdnlab {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr std::size_t length_bytes = 8;
constexpr const char* metadata_key = "__metadata__";
constexpr std::size_t most_dimensions = 64;  // that torch's own operations can take

struct TypeRow {
  TensorType type;
  std::string_view word;
  std::int64_t bytes;
};

constexpr std::array<TypeRow, 8> type_rows{{{TensorType::f64, "F64", 8},
                                            {TensorType::f32, "F32", 4},
                                            {TensorType::f16, "F16", 2},
                                            {TensorType::bf16, "BF16", 2},
                                            {TensorType::i64, "I64", 8},
                                            {TensorType::i32, "I32", 4},
                                            {TensorType::u8, "U8", 1},
                                            {TensorType::boolean, "BOOL", 1}}};

const TypeRow& row_of(TensorType type) { return type_rows[static_cast<std::size_t>(type)]; }

[[noreturn]] void fail(const std::string& file, std::string what, std::string found = "",
                       std::string expected = "") {
  throw Error(Code::usage, ErrorText{.place = {.file = file},
                                     .what = std::move(what),
                                     .found = std::move(found),
                                     .expected = std::move(expected)});
}

// nlohmann keeps the last of two equal keys; here the second one is an error.
nlohmann::json parse_with_unique_keys(std::string_view text, const std::string& file) {
  using Json = nlohmann::json;
  std::vector<std::set<std::string>> open_objects;
  std::string duplicate;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key && duplicate.empty()) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!open_objects.back().insert(key).second) duplicate = quote(key);
    }
    return true;
  };
  Json header;
  try {
    header = Json::parse(text, watch);
  } catch (const Json::exception& error) {
    // After "last read" the library repeats bytes that need not be text, and may be many.
    const std::string_view cause = error.what();
    fail(file, "the header of the safetensors file is not JSON: " +
                   std::string(cause.substr(0, cause.find("; last read"))));
  }
  if (!duplicate.empty()) fail(file, "the header of the safetensors file names " + duplicate + " twice");
  if (!header.is_object())
    fail(file, "the header of the safetensors file is no JSON object", header.type_name());
  return header;
}

std::map<std::string, std::string> read_metadata(const nlohmann::json& value, const std::string& file) {
  if (!value.is_object()) fail(file, "__metadata__ is no map of texts", value.type_name());
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) fail(file, "the metadata " + quote(key) + " is no text", text.type_name());
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

// A list of whole numbers in [0, 2^63); `what` says what the list is.
std::vector<std::int64_t> read_sizes(const nlohmann::json& entry, const char* key, const std::string& tensor,
                                     const std::string& file) {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const std::string what = tensor + ": " + key + " is no list of sizes";
  if (!entry.contains(key)) fail(file, tensor + " has no " + key);
  if (!entry[key].is_array()) fail(file, what, entry[key].type_name());
  std::vector<std::int64_t> sizes;
  for (const auto& size : entry[key]) {
    if (!size.is_number_unsigned() || size.get<std::uint64_t>() > most) fail(file, what, size.dump());
    sizes.push_back(size.get<std::int64_t>());
  }
  return sizes;
}

TensorType read_type(const nlohmann::json& entry, const std::string& tensor, const std::string& file) {
  if (!entry.contains("dtype")) fail(file, tensor + " has no dtype");
  if (!entry["dtype"].is_string()) fail(file, tensor + ": dtype is no text", entry["dtype"].type_name());
  const auto& word = entry["dtype"].get_ref<const std::string&>();
  const auto* row = std::ranges::find(type_rows, word, &TypeRow::word);
  if (row == type_rows.end()) {
    fail(file, tensor + " has an unknown dtype", quote(word),
         "one of F64, F32, F16, BF16, I64, I32, U8, BOOL");
  }
  return row->type;
}

// An empty dimension counts as one while looking for an overflow, so that strides stay in range too.
std::int64_t bytes_of(const TensorEntry& entry, const std::string& tensor, const std::string& file) {
  std::int64_t bytes = tensor_type_bytes(entry.type);
  for (const std::int64_t size : entry.shape) {
    if (__builtin_mul_overflow(bytes, std::max<std::int64_t>(size, 1), &bytes)) {
      fail(file, tensor + " has a shape of more than 2^63 bytes");
    }
  }
  return std::ranges::count(entry.shape, 0) > 0 ? 0 : bytes;
}

TensorEntry read_entry(const std::string& name, const nlohmann::json& value, std::int64_t data_bytes,
                       const std::string& file) {
  const std::string tensor = "tensor " + quote(name);
  if (!value.is_object()) fail(file, tensor + " is no JSON object", value.type_name());
  TensorEntry entry{.name = name,
                    .type = read_type(value, tensor, file),
                    .shape = read_sizes(value, "shape", tensor, file)};
  if (entry.shape.size() > most_dimensions) {
    fail(file, tensor + " has too many dimensions", std::to_string(entry.shape.size()),
         "at most " + std::to_string(most_dimensions));
  }
  const auto offsets = read_sizes(value, "data_offsets", tensor, file);
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes) {
    fail(file, tensor + " lies outside the file", "data_offsets " + value["data_offsets"].dump(),
         "two rising offsets of at most " + std::to_string(data_bytes));
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  const std::int64_t wanted = bytes_of(entry, tensor, file);
  if (entry.end - entry.begin != wanted) {
    fail(file, tensor + " has another size than its shape",
         std::to_string(entry.end - entry.begin) + " bytes",
         std::to_string(wanted) + " bytes for " + std::string(tensor_type_word(entry.type)) + " " +
             value["shape"].dump());
  }
  return entry;
}

void check_coverage(const std::vector<TensorEntry>& tensors, std::int64_t data_bytes,
                    const std::string& file) {
  std::int64_t covered = 0;
  for (const TensorEntry& entry : tensors) {
    if (entry.begin == covered) {
      covered = entry.end;
      continue;
    }
    const bool overlap = entry.begin < covered;
    fail(file,
         "tensor " + quote(entry.name) +
             (overlap ? " overlaps the one before it" : " follows a gap in the data"),
         "offset " + std::to_string(entry.begin), "offset " + std::to_string(covered));
  }
  if (covered != data_bytes) {
    fail(file, "the tensors do not cover the data", std::to_string(data_bytes) + " bytes of data",
         std::to_string(covered) + " bytes");
  }
}

}  // namespace

std::string_view tensor_type_word(TensorType type) { return row_of(type).word; }

std::int64_t tensor_type_bytes(TensorType type) { return row_of(type).bytes; }

SafetensorsHeader read_safetensors_header(std::string_view bytes, const std::string& file) {
  if (bytes.size() < length_bytes) {
    fail(file, "the safetensors file is cut short", std::to_string(bytes.size()) + " bytes", "at least 8");
  }
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), length_bytes);
  bytes.remove_prefix(length_bytes);
  if (header_bytes > bytes.size()) {
    fail(file, "the safetensors file is cut short or is none",
         std::to_string(bytes.size()) + " bytes after the length",
         "a header of " + std::to_string(header_bytes) + " bytes");
  }
  const nlohmann::json json = parse_with_unique_keys(bytes.substr(0, header_bytes), file);
  const auto data_bytes = static_cast<std::int64_t>(bytes.size() - header_bytes);

  SafetensorsHeader header;
  header.data_start = static_cast<std::int64_t>(length_bytes + header_bytes);
  for (const auto& [name, value] : json.items()) {
    if (name == metadata_key) {
      header.metadata = read_metadata(value, file);
    } else {
      header.tensors.push_back(read_entry(name, value, data_bytes, file));
    }
  }
  std::ranges::sort(header.tensors, {},
                    [](const TensorEntry& entry) { return std::tie(entry.begin, entry.end, entry.name); });
  check_coverage(header.tensors, data_bytes, file);
  return header;
}

std::string write_safetensors_header(SafetensorsHeader& header) {
  std::ranges::sort(header.tensors, {}, [](const TensorEntry& entry) {
    return std::pair(-tensor_type_bytes(entry.type), std::string_view(entry.name));
  });
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) json[metadata_key] = header.metadata;
  std::int64_t offset = 0;
  for (TensorEntry& entry : header.tensors) {
    const std::string tensor = "tensor " + quote(entry.name);
    if (json.contains(entry.name) || entry.name == metadata_key)
      fail("", tensor + " cannot be written: the name is taken");
    entry.begin = offset;
    entry.end = offset += bytes_of(entry, tensor, "");
    json[entry.name] = {{"dtype", tensor_type_word(entry.type)},
                        {"shape", entry.shape},
                        {"data_offsets", {entry.begin, entry.end}}};
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t header_bytes = text.size();
  std::string bytes(length_bytes, '\0');
  std::memcpy(bytes.data(), &header_bytes, length_bytes);
  bytes += text;
  header.data_start = static_cast<std::int64_t>(bytes.size());
  return bytes;
}

}  // namespace mdnlab
