#include "task/continuation.h"

#include <algorithm>

namespace mdnlab {

std::vector<std::int64_t> tokens_of(const Tokenizer& tokenizer, const std::string& text) {
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  return {ids.begin(), ids.end()};
}

std::int64_t token_before_text(const Tokenizer& tokenizer) {
  return tokenizer.end_of_text() ? *tokenizer.end_of_text() : tokens_of(tokenizer, "\n").back();
}

Continued continued(const Tokenizer& tokenizer, std::string context, std::string continuation) {
  const std::size_t end = context.find_last_not_of(" \t\r\n\v\f") + 1;  // 0 when there is nothing else
  continuation.insert(0, context, end);
  context.resize(end);
  const std::vector<std::int64_t> alone = tokens_of(tokenizer, context);
  std::vector<std::int64_t> whole = tokens_of(tokenizer, context + continuation);
  // A tokenizer may join across the cut: one token of the continuation is left at least.
  const auto cut = static_cast<std::ptrdiff_t>(std::min(alone.size(), whole.empty() ? 0 : whole.size() - 1));
  Continued result{{alone.begin(), alone.begin() + cut}, {whole.begin() + cut, whole.end()}};
  if (result.context.empty()) result.context.push_back(token_before_text(tokenizer));
  return result;
}

}  // namespace mdnlab
