#include "base/error.h"

namespace mdnlab {

std::string Place::text() const {
  std::string result = file;
  if (line > 0) {
    result += (result.empty() ? "line " : ":") + std::to_string(line);
    if (column > 0) result += ":" + std::to_string(column);
  }
  return result;
}

namespace {

std::string compose(const ErrorText& text) {
  std::string message = text.place.text();
  if (!message.empty()) message += ": ";
  message += text.what;
  if (!text.found.empty()) message += "; found " + text.found;
  if (!text.expected.empty()) {
    message += (text.found.empty() ? "; expected " : ", expected ") + text.expected;
  }
  if (!text.hint.empty()) message += "; " + text.hint;
  return message;
}

}  // namespace

Error::Error(Code code, ErrorText text) : code_(code), text_(std::move(text)), message_(compose(text_)) {}

Error::~Error() = default;

const char* Error::what() const noexcept { return message_.c_str(); }

}  // namespace mdnlab
