#include "data/gpt2_tokenizer.h"

#include <array>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "data/words.h"

namespace mdnlab {

namespace {

using Ids = std::unordered_map<std::string, std::int32_t>;  // by the token's text in the file's alphabet

constexpr std::size_t alphabet_size = 256 + 68;
constexpr std::size_t known_words_limit = 1 << 17;
constexpr std::size_t known_word_bytes = 64;

// The files write each byte as one character: printable bytes of Latin-1 as themselves, the other 68, in
// their order, as U+0100 and on. Gives the byte of each character.
std::array<unsigned char, alphabet_size> alphabet() {
  std::array<unsigned char, alphabet_size> bytes{};
  std::size_t other = 256;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    bytes[printable ? byte : other++] = static_cast<unsigned char>(byte);
  }
  return bytes;
}

// The bytes that `written` stands for; false where it has a character outside the alphabet, whose
// members take at most two bytes of UTF-8.
bool read_bytes(std::string_view written, std::string& bytes) {
  static const auto byte_of = alphabet();
  bytes.clear();
  for (std::size_t i = 0; i < written.size(); ++i) {
    std::size_t character = static_cast<unsigned char>(written[i]);
    if (character >= 0x80) {
      if (character >= 0xe0 || ++i == written.size()) return false;
      character = (character & 0x1f) << 6 | (static_cast<unsigned char>(written[i]) & 0x3f);
    }
    if (character >= alphabet_size || (character < 256 && byte_of[character] != character)) return false;
    bytes += static_cast<char>(byte_of[character]);
  }
  return !bytes.empty();
}

Error malformed(const std::filesystem::path& file, int line, std::string what, std::string found = {}) {
  return Error(Code::usage,
               {.place = {file.string(), line}, .what = std::move(what), .found = std::move(found)});
}

Ids read_ids(const std::filesystem::path& file, std::string_view content) {
  const nlohmann::json object = nlohmann::json::parse(content, nullptr, false);
  if (!object.is_object() || object.empty()) throw malformed(file, 0, "this is no JSON map of tokens to ids");
  Ids ids;
  std::vector<bool> taken(object.size());
  for (const auto& [written, id] : object.items()) {
    const bool fits = id.is_number_unsigned() && id.get<std::uint64_t>() < taken.size();
    if (!fits || taken[id.get<std::size_t>()]) {
      throw malformed(file, 0,
                      "the id of " + quote(written) + " is not a number of its own in 0 to " +
                          std::to_string(taken.size() - 1),
                      id.dump());
    }
    taken[id.get<std::size_t>()] = true;
    ids.emplace(written, id.get<std::int32_t>());
  }
  return ids;
}

BytePairs read_pairs(const std::filesystem::path& file, std::string_view content, const Ids& ids) {
  BytePairs pairs;
  int number = 0;
  for (const std::string& line : split(content, '\n')) {
    ++number;
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const std::vector<std::string> words = split(line, ' ');
    if (words.size() != 2)
      throw malformed(file, number, "a merge is two tokens with a space between", quote(line));
    const auto left = ids.find(words[0]), right = ids.find(words[1]), merged = ids.find(words[0] + words[1]);
    if (left == ids.end() || right == ids.end() || merged == ids.end()) {
      throw malformed(file, number, "encoder.json lacks a token of this merge or its result", quote(line));
    }
    if (!pairs.add(left->second, right->second, merged->second)) {
      throw malformed(file, number, "this merge was there before", quote(line));
    }
  }
  return pairs;
}

}  // namespace

Gpt2Tokenizer::Gpt2Tokenizer(const std::filesystem::path& folder) {
  const std::filesystem::path encoder = folder / "encoder.json", merges = folder / "vocab.bpe";
  const std::string encoder_content = read_file(encoder), merges_content = read_file(merges);
  const Ids ids = read_ids(encoder, encoder_content);
  pairs_ = read_pairs(merges, merges_content, ids);

  Facts facts;
  bytes_.resize(ids.size());
  facts.token_bytes.resize(ids.size());
  std::fill(std::begin(byte_tokens_), std::end(byte_tokens_), -1);
  for (const auto& [written, id] : ids) {
    std::string& bytes = bytes_[static_cast<std::size_t>(id)];
    if (!read_bytes(written, bytes)) {
      throw malformed(encoder, 0, "a token has a character that stands for no byte", quote(written));
    }
    if (bytes.size() == 1) byte_tokens_[static_cast<unsigned char>(bytes[0])] = id;
    if (written == "<|endoftext|>") {
      facts.end_of_text = id;
      bytes.clear();
    }
    facts.token_bytes[static_cast<std::size_t>(id)] = static_cast<std::int32_t>(bytes.size());
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (byte_tokens_[byte] < 0)
      throw malformed(encoder, 0, "no token stands for byte " + std::to_string(byte));
  }
  facts.digest = "gpt2:" + sha256(sha256(encoder_content) + sha256(merges_content));
  describe(std::move(facts));
}

std::vector<std::int32_t> Gpt2Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> tokens;
  tokens.reserve(text.size() / 4);
  const std::lock_guard lock(mutex_);
  Words words(text);
  for (std::string_view word; words.next(word);) encode_word(word, tokens);
  return tokens;
}

void Gpt2Tokenizer::encode_word(std::string_view word, std::vector<std::int32_t>& tokens) const {
  const auto known = known_words_.find(word);
  if (known != known_words_.end()) {
    tokens.insert(tokens.end(), known->second.begin(), known->second.end());
    return;
  }
  std::vector<std::int32_t> parts;
  parts.reserve(word.size());
  for (const char byte : word) parts.push_back(byte_tokens_[static_cast<unsigned char>(byte)]);
  pairs_.merge(parts);
  tokens.insert(tokens.end(), parts.begin(), parts.end());
  if (word.size() > known_word_bytes) return;
  if (known_words_.size() == known_words_limit) known_words_.clear();
  known_words_.emplace(word, std::move(parts));
}

std::string Gpt2Tokenizer::decode_valid(std::span<const std::int32_t> tokens) const {
  std::string text;
  for (const std::int32_t token : tokens) text += bytes_[static_cast<std::size_t>(token)];
  return text;
}

}  // namespace mdnlab
