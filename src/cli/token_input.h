// Tokens on which a command runs a stored model: a list of ids, or a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "interop/stored_model.h"

namespace mdnlab {

// A JSON list of lists of token ids. Anything else, or an id outside the vocabulary: Code::usage, naming the
// file, the sequence and the place in it.
std::vector<std::vector<std::int64_t>> read_token_lists(const std::filesystem::path& file,
                                                        std::int64_t vocab_size);

// What --tokenizer says, or without it the `data:` of the model's run. Neither, or more tokens than the model
// has: Code::usage.
std::unique_ptr<const Tokenizer> tokenizer_for(const StoredModel& model,
                                               const std::optional<std::string>& words);

// A text as one sequence. Text that is not UTF-8: Code::usage.
std::vector<std::int64_t> read_text_tokens(const std::filesystem::path& file, const Tokenizer& tokenizer);

}  // namespace mdnlab
