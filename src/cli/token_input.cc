#include "cli/token_input.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace mdnlab {

namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, std::string what, std::string found,
                         std::string expected) {
  throw Error(Code::usage, {.place = {.file = file.string()},
                            .what = std::move(what),
                            .found = std::move(found),
                            .expected = std::move(expected)});
}

// A short look at a value, for messages.
std::string look(const nlohmann::json& value) {
  constexpr std::size_t most = 40;
  const std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() <= most ? text
         : value.is_array()  ? "a list"
         : value.is_object() ? "a map"
                             : "a long value";
}

}  // namespace

std::vector<std::vector<std::int64_t>> read_token_lists(const std::filesystem::path& file,
                                                        std::int64_t vocab_size) {
  const std::string shape = "a list of lists of token ids, [[1, 2, 3], …]";
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(read_file(file));
  } catch (const nlohmann::json::parse_error& error) {
    refuse(file, fmt::format("the file is no JSON, from byte {} on", error.byte), {}, shape);
  }
  if (!json.is_array()) refuse(file, "the file holds no sequences", look(json), shape);
  std::vector<std::vector<std::int64_t>> sequences;
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (!json[i].is_array()) refuse(file, fmt::format("sequence {} is no list", i), look(json[i]), shape);
    std::vector<std::int64_t>& tokens = sequences.emplace_back();
    for (std::size_t t = 0; t < json[i].size(); ++t) {
      const nlohmann::json& id = json[i][t];
      const bool fits =
          id.is_number_unsigned() && id.get<std::uint64_t>() < static_cast<std::uint64_t>(vocab_size);
      if (!fits) {
        refuse(file, fmt::format("sequence {}, token {}: no id of the model's vocabulary", i, t), look(id),
               fmt::format("0 to {}", vocab_size - 1));
      }
      tokens.push_back(id.get<std::int64_t>());
    }
  }
  return sequences;
}

namespace {

std::unique_ptr<const Tokenizer> named_tokenizer(const StoredModel& model,
                                                 const std::optional<std::string>& words) {
  if (words) return make_tokenizer(*words, ".", {.file = "--tokenizer"});
  const Node* recorded = find_path(model.config, "data.tokenizer");
  if (recorded && recorded->kind == Node::Kind::scalar) {
    return make_tokenizer(recorded->scalar, model.folder, recorded->place);
  }
  throw Error(Code::usage, {.what = "the model does not say how its text was made tokens",
                            .found = "no data.tokenizer in " + (model.folder / "config.json").string(),
                            .expected = "--tokenizer byte, gpt2:FOLDER or sentencepiece:FILE"});
}

}  // namespace

std::unique_ptr<const Tokenizer> tokenizer_for(const StoredModel& model,
                                               const std::optional<std::string>& words) {
  auto tokenizer = named_tokenizer(model, words);
  if (tokenizer->vocab_size() > model.vocab_size) {
    throw Error(Code::usage, {.what = "the tokenizer has more tokens than the model",
                              .found = grouped(tokenizer->vocab_size()),
                              .expected = fmt::format("at most {}", grouped(model.vocab_size))});
  }
  return tokenizer;
}

std::vector<std::int64_t> read_text_tokens(const std::filesystem::path& file, const Tokenizer& tokenizer) {
  const std::string text = read_file(file);
  if (const std::size_t at = invalid_utf8(text); at != std::string::npos) {
    refuse(file, "the text is not UTF-8", fmt::format("byte {}", at), {});
  }
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  return {ids.begin(), ids.end()};
}

}  // namespace mdnlab
