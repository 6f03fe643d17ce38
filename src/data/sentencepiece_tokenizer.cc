#include "data/sentencepiece_tokenizer.h"

#include <dlfcn.h>
#include <linux/limits.h>

#include <array>
#include <cstdlib>

#include "base/file.h"
#include "data/sentencepiece/entry.h"

namespace mdnlab {

namespace {

constexpr const char* module_name = "mdnlab_sentencepiece.so";

// The module lies in the build tree, or in lib/mdnlab where libmdnlab is installed; both are found from
// libmdnlab's own folder, so that either can be moved as a whole.
std::filesystem::path module_path() {
  std::array<char, PATH_MAX> folder{};
  void* self = dlopen("libmdnlab.so", RTLD_LAZY | RTLD_NOLOAD);
  if (!self || dlinfo(self, RTLD_DI_ORIGIN, folder.data()) != 0) return module_name;
  dlclose(self);
  const std::filesystem::path home = folder.data();
  const std::filesystem::path installed = home / "mdnlab" / module_name;
  return std::filesystem::exists(installed) ? installed : home / "src/data/sentencepiece" / module_name;
}

using Message = std::array<char, 512>;

}  // namespace

const mdnlab_sentencepiece& open_sentencepiece(const std::filesystem::path& module) {
  const std::string what = "SentencePiece tokenizers cannot be used on this machine";
  const std::string hint =
      "apt-get install libsentencepiece-dev; then, where the module was not built, meson setup --reconfigure "
      "and "
      "build again";
  void* handle = dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw Error(Code::machine, {.what = what + ": " + dlerror(), .hint = hint});
  const auto entry =
      reinterpret_cast<const mdnlab_sentencepiece* (*)()>(dlsym(handle, MDNLAB_SENTENCEPIECE_SYMBOL));
  if (!entry || entry()->version != MDNLAB_SENTENCEPIECE_VERSION) {
    throw Error(Code::machine, {.place = {module.string()},
                                .what = what + ": the module belongs to another version of mdnlab",
                                .hint = "build again"});
  }
  return *entry();
}

const mdnlab_sentencepiece& open_sentencepiece() { return open_sentencepiece(module_path()); }

SentencePieceTokenizer::SentencePieceTokenizer(const std::filesystem::path& file)
    : library_(open_sentencepiece()), file_(file) {
  const std::string content = read_file(file);
  Message message{};
  void* model = library_.open(content.data(), content.size(), message.data(), message.size());
  if (!model) {
    throw Error(Code::usage, {.place = {file.string()},
                              .what = std::string("this is no SentencePiece model: ") + message.data()});
  }
  model_ = {model, library_.close};

  Facts facts;
  facts.token_bytes.resize(static_cast<std::size_t>(library_.vocab_size(model)));
  for (std::size_t token = 0; token < facts.token_bytes.size(); ++token) {
    facts.token_bytes[token] = library_.token_bytes(model, static_cast<std::int32_t>(token));
  }
  if (const std::int32_t end = library_.end_of_text(model); end >= 0) facts.end_of_text = end;
  facts.digest = "sentencepiece:" + sha256(content);
  describe(std::move(facts));
}

std::vector<std::int32_t> SentencePieceTokenizer::encode(std::string_view text) const {
  Message message{};
  std::int32_t* tokens = nullptr;
  std::size_t count = 0;
  if (library_.encode(model_.get(), text.data(), text.size(), &tokens, &count, message.data(),
                      message.size()) != 0) {
    throw Error(Code::usage,
                {.place = {file_.string()}, .what = std::string("encoding failed: ") + message.data()});
  }
  const std::unique_ptr<std::int32_t, decltype(&std::free)> owner(tokens, std::free);
  return {tokens, tokens + count};
}

std::string SentencePieceTokenizer::decode_valid(std::span<const std::int32_t> tokens) const {
  Message message{};
  char* text = nullptr;
  std::size_t size = 0;
  if (library_.decode(model_.get(), tokens.data(), tokens.size(), &text, &size, message.data(),
                      message.size()) != 0) {
    throw Error(Code::usage,
                {.place = {file_.string()}, .what = std::string("decoding failed: ") + message.data()});
  }
  const std::unique_ptr<char, decltype(&std::free)> owner(text, std::free);
  return {text, size};
}

}  // namespace mdnlab
