#include "data/documents.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace mdnlab {

namespace {

namespace fs = std::filesystem;
using Take = std::function<void(std::string_view)>;

bool is_text(const fs::path& path) { return path.extension() == ".txt" || path.extension() == ".jsonl"; }

nlohmann::json parse_line(std::string_view line, const Place& place) {
  try {
    return nlohmann::json::parse(line);
  } catch (const nlohmann::json::parse_error& error) {
    // Before the first ": " the library's message counts lines of its own; after "last read" it may repeat
    // all of this one.
    std::string cause = error.what();
    if (const std::size_t start = cause.find(": "); start != std::string::npos) cause.erase(0, start + 2);
    cause.erase(std::min(cause.size(), cause.find("; last read")));
    throw Error(Code::usage, {.place = {place.file, place.line, static_cast<int>(error.byte)},
                              .what = "this line is no JSON: " + cause});
  }
}

std::string text_of(const nlohmann::json& document, const std::string& field, const Place& place) {
  const std::string expected = "an object with a string under " + quote(field);
  if (!document.is_object()) {
    throw Error(Code::usage, {place, "this line is no document", document.type_name(), expected, {}});
  }
  const auto value = document.find(field);
  if (value == document.end()) {
    std::vector<std::string> keys;
    for (const auto& item : document.items()) keys.push_back(item.key());
    throw Error(Code::usage, {place, "this document has no " + quote(field), "keys " + join(keys, ", "),
                              expected, "name the key in data.text_field"});
  }
  if (!value->is_string()) {
    throw Error(Code::usage, {place, quote(field) + " is no text", value->type_name(), expected, {}});
  }
  return value->get<std::string>();
}

void read_lines(const fs::path& file, const std::string& field, const Take& take) {
  const MappedFile content(file);
  std::string_view rest = content.text();
  for (int number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Place place{file.string(), number};
    const std::string text = text_of(parse_line(line, place), field, place);
    if (!text.empty()) take(text);
  }
}

void read_file_of_text(const fs::path& file, const std::string& field, const Take& take) {
  if (file.extension() == ".jsonl") return read_lines(file, field, take);
  const MappedFile content(file);
  if (!content.text().empty()) take(content.text());
}

std::vector<fs::path> text_files(const fs::path& folder) {
  std::vector<fs::path> files;
  try {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file() && is_text(entry.path())) files.push_back(entry.path());
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(Code::usage,
                {.place = {folder.string()}, .what = "cannot list the folder: " + error.code().message()});
  }
  if (files.empty()) {
    throw Error(Code::usage, {.place = {folder.string()}, .what = "the folder holds no .txt or .jsonl file"});
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

void read_documents(const fs::path& path, std::string_view text_field, const Take& take) {
  const std::string field(text_field);
  if (fs::is_directory(path)) {
    for (const fs::path& file : text_files(path)) read_file_of_text(file, field, take);
  } else if (is_text(path)) {
    read_file_of_text(path, field, take);
  } else {
    throw Error(Code::usage, {.place = {path.string()},
                              .what = "this kind of file is not read as text",
                              .found = quote(path.extension().string()),
                              .expected = "a .txt, .jsonl or packed .bin file, or a folder"});
  }
}

}  // namespace mdnlab
