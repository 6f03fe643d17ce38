#include "data/pack.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "base/file.h"
#include "base/text.h"
#include "data/documents.h"
#include "data/packed.h"
#include "data/path.h"
#include "data/tokenizer.h"

namespace mdnlab {

namespace {

namespace fs = std::filesystem;

// `target`, written under another name until it is whole; whatever is not finished is removed.
class PartFile {
 public:
  explicit PartFile(const fs::path& target) : target_(target), part_(target) {
    part_ += ".part-" + std::to_string(getpid());
    file_.reset(std::fopen(part_.c_str(), "wb"));
    if (!file_) fail();
  }
  ~PartFile() {
    file_.reset();
    std::error_code ignored;
    if (!finished_) fs::remove(part_, ignored);
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  void write(const void* bytes, std::size_t size) {
    if (std::fwrite(bytes, 1, size, file_.get()) != size) fail();
  }

  void finish(const PackedHeader& header) {
    if (std::fseek(file_.get(), 0, SEEK_SET) != 0) fail();
    write(&header, sizeof header);
    if (std::fflush(file_.get()) != 0 || fsync(fileno(file_.get())) != 0) fail();
    if (std::rename(part_.c_str(), target_.c_str()) != 0) fail();
    finished_ = true;
    sync_folder(target_.parent_path());
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  [[noreturn]] void fail() const {
    const int cause = errno;
    throw Error(cause == ENOSPC || cause == EDQUOT ? Code::store : Code::usage,
                {.place = {target_.string()},
                 .what = "cannot write the packed file: " + std::generic_category().message(cause)});
  }

  fs::path target_, part_;
  std::unique_ptr<std::FILE, Close> file_;
  bool finished_ = false;
};

}  // namespace

PackedCounts pack_corpus(const Params& data, const fs::path& base, const fs::path& output) {
  if (output.extension() != ".bin") {
    throw Error(Code::usage, {.place = {output.string()}, .what = "a packed file's name ends in .bin"});
  }
  const fs::path source = find_path(data.text("path"), base, "the text", data.place("path"));
  if (source.extension() == ".bin") throw data.error("path", quote(data.text("path")) + " is packed already");
  const auto tokenizer = make_tokenizer(data.text("tokenizer"), base, data.place("tokenizer"));
  const int width = token_width(tokenizer->vocab_size());

  PartFile file(output);
  const PackedHeader blank{};
  file.write(&blank, sizeof blank);
  Digest content;
  std::vector<std::uint64_t> starts;
  std::vector<std::byte> packed;
  std::uint64_t tokens = 0;
  read_documents(source, data.text("text_field"), [&](std::string_view document) {
    const std::vector<std::int32_t> ids = tokenizer->encode(document);
    if (ids.empty()) return;
    packed.clear();
    append_tokens(ids, width, packed);
    content.add({reinterpret_cast<const char*>(packed.data()), packed.size()});
    file.write(packed.data(), packed.size());
    starts.push_back(tokens);
    tokens += ids.size();
  });
  if (tokens == 0) throw data.error("path", "the text " + quote(data.text("path")) + " is empty");

  const std::uint64_t bytes = tokens * static_cast<std::uint64_t>(width), padding = 0;
  file.write(&padding, padded_to_8(bytes) - bytes);
  file.write(starts.data(), starts.size() * sizeof starts[0]);
  content.add({reinterpret_cast<const char*>(starts.data()), starts.size() * sizeof starts[0]});
  file.finish(packed_header(*tokenizer, tokens, starts.size(), content.hex()));
  return {static_cast<std::int64_t>(starts.size()), static_cast<std::int64_t>(tokens)};
}

}  // namespace mdnlab
