#include "data/documents.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "data/jsonl.h"

namespace mdnlab {

namespace {

namespace fs = std::filesystem;
using Take = std::function<void(std::string_view)>;

bool is_text(const fs::path& path) { return path.extension() == ".txt" || path.extension() == ".jsonl"; }

void read_file_of_text(const fs::path& file, const std::string& field, const Take& take) {
  const MappedFile content(file);
  if (file.extension() == ".jsonl") return read_jsonl(content.text(), file.string(), field, take);
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
