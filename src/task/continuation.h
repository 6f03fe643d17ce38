// A context and what may follow it, as tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizer.h"

namespace mdnlab {

struct Continued {
  std::vector<std::int64_t> context, continuation;
};

// As lm-eval splits them: spaces at the context's end move to the continuation, the whole is made tokens, and
// cut where the context's own tokens end. So "Answer:" + " yes" cuts before the token " yes".
Continued continued(const Tokenizer& tokenizer, std::string context, std::string continuation);

// What stands before a text that has nothing before it: the token that ends texts, else a line break.
std::int64_t token_before_text(const Tokenizer& tokenizer);

std::vector<std::int64_t> tokens_of(const Tokenizer& tokenizer, const std::string& text);

}  // namespace mdnlab
