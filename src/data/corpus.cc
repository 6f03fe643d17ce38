#include "data/corpus.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "base/text.h"
#include "data/byte_tokenizer.h"
#include "data/documents.h"
#include "data/packed.h"
#include "data/path.h"

namespace mdnlab {

namespace {

Tokens read_text(const std::filesystem::path& path, const std::string& text_field,
                 const Tokenizer& tokenizer) {
  if (path.extension() == ".txt" && std::filesystem::is_regular_file(path) &&
      dynamic_cast<const ByteTokenizer*>(&tokenizer)) {
    MappedFile file(path);
    const auto count = static_cast<std::int64_t>(file.bytes().size());
    return {std::move(file), 0, count, 1, std::vector<std::uint64_t>(count > 0 ? 1 : 0, 0)};
  }
  const int width = token_width(tokenizer.vocab_size());
  std::vector<std::byte> packed;
  std::vector<std::uint64_t> starts;
  read_documents(path, text_field, [&](std::string_view document) {
    const std::uint64_t start = packed.size() / static_cast<std::size_t>(width);
    append_tokens(tokenizer.encode(document), width, packed);
    if (packed.size() > start * static_cast<std::size_t>(width)) starts.push_back(start);
  });
  return {std::move(packed), width, std::move(starts)};
}

}  // namespace

struct Corpus::Source {
  std::unique_ptr<const Tokenizer> tokenizer;
  std::filesystem::path file;
  PackedText text;
  std::vector<double> shares;  // of the splits
};

const char* split_name(Split split) {
  switch (split) {
    case Split::train: return "train";
    case Split::valid: return "valid";
    case Split::test: return "test";
  }
  throw std::logic_error("split_name: no such split");
}

Corpus::Source Corpus::open(const Params& data, const std::filesystem::path& base) {
  std::vector<double> shares = data.reals("split");
  if (shares.size() != 3 || std::abs(shares[0] + shares[1] + shares[2] - 1) > 1e-6) {
    throw data.error("split", "the shares do not fit", "three numbers that sum to 1: train, valid, test");
  }
  const std::string& given = data.text("path");
  const std::filesystem::path path = find_path(given, base, "the text", data.place("path"));
  auto tokenizer = make_tokenizer(data.text("tokenizer"), base, data.place("tokenizer"));
  PackedText text = path.extension() == ".bin"
                        ? open_packed(path, *tokenizer)
                        : PackedText{read_text(path, data.text("text_field"), *tokenizer), ""};
  if (text.tokens.count() == 0) throw data.error("path", "the text " + quote(given) + " is empty");
  return {std::move(tokenizer), path, std::move(text), std::move(shares)};
}

Corpus::Corpus(const Params& data, const std::filesystem::path& base) : Corpus(data, open(data, base)) {}

Corpus::Corpus(const Params& data, Source source)
    : tokenizer_(std::move(source.tokenizer)),
      file_(std::move(source.file)),
      tokens_(std::move(source.text.tokens)),
      recorded_digest_(std::move(source.text.content_sha256)),
      bounds_{},
      concatenated_(data.text("documents") == "concatenate") {
  const std::int64_t count = tokens_.count();
  const auto bound = [&](double share) {
    return std::min<std::int64_t>(count, std::llround(static_cast<double>(count) * share));
  };
  bounds_[1] = bound(source.shares[0]);
  bounds_[2] = bound(source.shares[0] + source.shares[1]);  // not before bounds_[1]: shares are not negative
  bounds_[3] = count;
}

std::int64_t Corpus::token_count(Split split) const { return end(split) - begin(split); }

void Corpus::copy(Split split, std::int64_t first, std::int64_t count, std::int64_t* out) const {
  if (first < 0 || count < 0 || count > token_count(split) - first) {
    throw std::out_of_range("Corpus::copy: tokens outside the split");
  }
  tokens_.copy(begin(split) + first, count, out);
}

std::vector<std::int32_t> Corpus::document_starts(Split split, std::int64_t first, std::int64_t count) const {
  std::vector<std::int32_t> positions;
  if (first == 0 && count > 0) positions.push_back(0);
  if (concatenated_) return positions;
  const auto from = static_cast<std::uint64_t>(begin(split) + first);
  const std::vector<std::uint64_t>& starts = tokens_.starts();
  for (auto start = std::ranges::lower_bound(starts, from + (first == 0 ? 1 : 0));
       start != starts.end() && *start < from + static_cast<std::uint64_t>(count); ++start) {
    positions.push_back(static_cast<std::int32_t>(*start - from));
  }
  return positions;
}

const std::string& Corpus::digest() const {
  if (!digest_.empty()) return digest_;
  const std::string content = tokens_.digest();
  if (!recorded_digest_.empty() && content != recorded_digest_) {
    throw Error(Code::usage,
                {.place = {file_.string()},
                 .what = "the packed tokens are damaged: their SHA-256 differs from the header's",
                 .hint = "pack the text again: mdnlab data pack"});
  }
  digest_ = sha256(tokenizer_->digest() + "\n" + content);
  return digest_;
}

}  // namespace mdnlab
