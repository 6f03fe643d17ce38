#include <array>

#include "base/text.h"
#include "data/byte_tokenizer.h"
#include "data/gpt2_tokenizer.h"
#include "data/path.h"
#include "data/sentencepiece_tokenizer.h"

namespace mdnlab {

std::unique_ptr<const Tokenizer> make_tokenizer(std::string_view words, const std::filesystem::path& base,
                                                const Place& place) {
  if (words == "byte") return std::make_unique<ByteTokenizer>();

  const std::size_t colon = words.find(':');
  const std::string_view kind = words.substr(0, colon);
  const std::string_view path = colon == std::string_view::npos ? "" : words.substr(colon + 1);
  const std::string expected = "byte, gpt2:FOLDER or sentencepiece:FILE";
  if (kind != "gpt2" && kind != "sentencepiece") {
    const std::array<std::string, 3> kinds = {"byte", "gpt2", "sentencepiece"};
    const std::string near = nearest(kind, kinds);
    throw Error(Code::usage, {place, "unknown tokenizer", quote(words), expected,
                              near.empty() ? "" : "did you mean " + quote(near) + "?"});
  }
  if (path.empty())
    throw Error(Code::usage, {place, "the tokenizer names no files", quote(words), expected, {}});

  const std::filesystem::path found = find_path(path, base, "the tokenizer", place);
  if (kind == "gpt2") return std::make_unique<Gpt2Tokenizer>(found);
  return std::make_unique<SentencePieceTokenizer>(found);
}

}  // namespace mdnlab
