// WikiText sets its tokens apart by spaces; published perplexities are of the text without them.
#pragma once

#include <string>

namespace mdnlab {

// `1 @,@ 000 ( " two " ) .` as `1,000 ("two").`: the marks of WikiText and the spaces around punctuation,
// brackets and headings taken back, in the order in which lm-eval does.
std::string without_wikitext_spacing(std::string page);

}  // namespace mdnlab
