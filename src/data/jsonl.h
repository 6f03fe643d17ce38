// The documents of a .jsonl file: one JSON object a line, the text under one key.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace mdnlab {

// Hands the string under `field` of each line to `take`, in order; blank lines and empty texts are passed over. A view
// lives until `take` returns; `file` is for messages.
// Code::usage, naming file, line and column: a line that is no JSON object with that string.
void read_jsonl(std::string_view content, const std::string& file, const std::string& field,
                const std::function<void(std::string_view document)>& take);

}  // namespace mdnlab
