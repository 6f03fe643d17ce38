// Text broken into lines for a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mdnlab {

// Lines of more than `columns` characters broken at spaces, what follows indented as the line is. Other lines
// stay as they are; a word that is too long stands alone.
std::string wrapped(std::string_view text, std::size_t columns);

}  // namespace mdnlab
