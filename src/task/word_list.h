// Lists of words that come as files, one a line.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/params.h"

namespace mdnlab {

struct WordList {
  std::vector<std::string> words;  // in the file's order, none empty
  std::string digest;              // of the file
};

// FOLDER/`name`, where FOLDER is the option `words`. Missing or empty: Code::usage.
WordList read_word_list(const Params& options, const std::filesystem::path& base, const char* name);

inline constexpr Field words_field{
    .name = "words",
    .type = Type::text,
    .preset = nullptr,
    .doc = "a folder of adjectivelist.txt, nounlist.txt and verblist.txt, one word a line"};

}  // namespace mdnlab
