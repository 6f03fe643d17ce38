// What the data tests share: options from words, small files, the error that a call ends with.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../error_of.h"
#include "base/error.h"
#include "data/corpus.h"
#include "data/fields.h"

namespace mdnlab {

inline std::filesystem::path source_folder() {
  const char* folder = std::getenv("MDNLAB_SOURCE");
  if (!folder) throw std::runtime_error("MDNLAB_SOURCE is not set: run through meson test");
  return folder;
}

inline std::string gpt2_words() { return "gpt2:" + (source_folder() / "experiments/data/gpt2").string(); }

inline void put(const std::filesystem::path& file, std::string_view content) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << content;
}

inline Params data_params(const std::filesystem::path& path, std::vector<std::string> words = {}) {
  words.push_back("path=" + path.string());
  return read_settings(words, "data", data_fields());
}

inline Corpus open_corpus(const std::filesystem::path& path, std::vector<std::string> words = {}) {
  return Corpus(data_params(path, std::move(words)), ".");
}

inline std::vector<std::int64_t> split_tokens(const Corpus& corpus, Split split) {
  std::vector<std::int64_t> tokens(static_cast<std::size_t>(corpus.token_count(split)));
  corpus.copy(split, 0, corpus.token_count(split), tokens.data());
  return tokens;
}

}  // namespace mdnlab
