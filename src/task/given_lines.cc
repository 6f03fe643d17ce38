#include "task/given_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "data/path.h"

namespace mdnlab {

namespace {

using nlohmann::json;

constexpr std::int64_t lines_named = 3;

const json& value_of(const json& line, const char* key) {
  const auto found = line.find(key);
  if (found != line.end()) return *found;
  std::vector<std::string> keys;
  for (const auto& item : line.items()) keys.push_back(item.key());
  throw Error(Code::usage,
              {.what = fmt::format("this line has no '{}'", key), .found = "keys " + join(keys, ", ")});
}

[[noreturn]] void refuse(const char* key, const json& value, const char* expected) {
  throw Error(Code::usage, {.what = fmt::format("'{}' has the wrong type", key),
                            .found = value.type_name(),
                            .expected = expected});
}

json parse(std::string_view line) {
  json parsed = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) throw Error(Code::usage, {.what = "this line is no JSON"});
  if (!parsed.is_object())
    throw Error(Code::usage, {.what = "this line is no JSON object", .found = parsed.type_name()});
  return parsed;
}

class AskingTask final : public Task {
 public:
  AskingTask(std::int64_t vocab_size, std::string digest, std::function<std::unique_ptr<const Items>()> items)
      : vocab_size_(vocab_size), digest_(std::move(digest)), items_(std::move(items)) {}

  std::int64_t vocab_size() const override { return vocab_size_; }
  std::string data_digest() const override { return digest_; }
  std::unique_ptr<const Items> items(Split) const override { return items_(); }

 private:
  std::int64_t vocab_size_;
  std::string digest_;
  std::function<std::unique_ptr<const Items>()> items_;
};

}  // namespace

void read_given_lines(const std::filesystem::path& file, const std::function<void(const json& line)>& take) {
  const std::string text = read_file(file);
  std::string_view content = text;
  std::int64_t taken = 0, left_out = 0;
  for (int number = 1; !content.empty(); ++number) {
    const std::string_view line = content.substr(0, content.find('\n'));
    content.remove_prefix(std::min(content.size(), line.size() + 1));
    if (trim(line).empty()) continue;
    try {
      take(parse(line));
      ++taken;
    } catch (const Error& error) {
      ErrorText fault = error.text();
      fault.place = {file.string(), number};
      if (++left_out <= lines_named) warn(Error(Code::usage, std::move(fault)).what());
    }
  }
  if (taken == 0) {
    throw Error(Code::usage, {.place = {file.string()},
                              .what = "no line of the file is a question",
                              .found = fmt::format("{} lines", left_out)});
  }
  if (left_out > 0)
    warn(fmt::format("{}: {} of {} lines are left out", file.string(), left_out, left_out + taken));
}

std::string text_of(const json& line, const char* key) {
  const json& value = value_of(line, key);
  if (!value.is_string()) refuse(key, value, "a text");
  return value;
}

std::int64_t integer_of(const json& line, const char* key) {
  const json& value = value_of(line, key);
  if (!value.is_number_integer()) refuse(key, value, "a whole number");
  return value;
}

std::vector<std::string> texts_of(const json& line, const char* key) {
  const json& value = value_of(line, key);
  if (value.is_string()) return {value.get<std::string>()};
  if (!value.is_array() || value.empty()) refuse(key, value, "a list of texts");
  std::vector<std::string> texts;
  for (const json& one : value) {
    if (!one.is_string()) refuse(key, one, "a list of texts");
    texts.push_back(one);
  }
  return texts;
}

std::filesystem::path given_file(const Params& options, const TaskContext& context) {
  return find_path(options.text("path"), context.base, "the data", options.place("path"));
}

std::unique_ptr<Task> asking_task(const std::filesystem::path& file, const TaskContext& context,
                                  std::function<std::unique_ptr<const Items>()> items) {
  return std::make_unique<AskingTask>(context.tokenizer->vocab_size(),
                                      sha256(sha256_file(file) + context.tokenizer->digest()),
                                      std::move(items));
}

std::int64_t samples_of(const Params& options, std::size_t all) {
  const std::int64_t wanted = options.integer("samples");
  return wanted == 0 ? static_cast<std::int64_t>(all) : std::min(wanted, static_cast<std::int64_t>(all));
}

}  // namespace mdnlab
