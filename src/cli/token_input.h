// The sequences that `mdnlab score` is given.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/tokenizer.h"

namespace mdnlab {

// A JSON list of lists of token ids. Anything else, or an id outside the vocabulary: Code::usage, naming the
// file, the sequence and the place in it.
std::vector<std::vector<std::int64_t>> read_token_lists(const std::filesystem::path& file,
                                                        std::int64_t vocab_size);

// A text as one sequence. Text that is not UTF-8, or a tokenizer with more tokens than the model:
// Code::usage.
std::vector<std::int64_t> read_text_tokens(const std::filesystem::path& file, const Tokenizer& tokenizer,
                                           std::int64_t vocab_size);

}  // namespace mdnlab
