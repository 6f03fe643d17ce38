// Words from outside as text of a page.
#pragma once

#include <string>
#include <string_view>

namespace mdnlab {

// For element content and double-quoted attributes of HTML and SVG: & < > " ' become entities; bytes that are
// not UTF-8 and control characters other than line breaks and tabs become U+FFFD.
std::string escape_html(std::string_view text);

}  // namespace mdnlab
