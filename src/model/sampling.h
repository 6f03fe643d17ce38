// From logits to a token.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/random.h"

namespace mdnlab {

struct Sampling {
  double temperature = 0;  // logits are divided by it; 0: always the highest logit
  double top_p = 1;        // of the likeliest tokens that together have this probability, in (0, 1]
};

// The token with the highest logit of each row of (R,vocabulary), the first of equal ones.
std::vector<std::int64_t> highest_tokens(const at::Tensor& logits_RV);

// A token drawn for one row, logits (vocabulary), by `random`: with temperature 0 none is drawn. Drawn from
// the likeliest on, of equal ones the first, so that the few likeliest, which alone are brought from a GPU,
// decide nearly always: `few` of them, or all where these do not.
std::int64_t sample_token(const at::Tensor& logits_V, const Sampling& sampling, Random& random,
                          std::int64_t few = 256);

}  // namespace mdnlab
