// Reads text from files, one document after another.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace mdnlab {

// `path` is a .txt file (one document), a .jsonl file (one document a line, the string under `text_field`) or
// a folder: every .txt and .jsonl file beneath it, in the order of their paths; other files, and symbolic
// links to folders, are passed over. Empty documents and blank lines are too. A view lives until `take`
// returns.
//
// Code::usage, naming the file and line: unreadable, another kind of file, a folder without text, a line that
// is no JSON object with that string.
void read_documents(const std::filesystem::path& path, std::string_view text_field,
                    const std::function<void(std::string_view document)>& take);

}  // namespace mdnlab
