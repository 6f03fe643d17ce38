#include "report/escape.h"

#include "base/text.h"

namespace mdnlab {

std::string escape_html(std::string_view text) {
  std::string result;
  const auto well_formed = [&](std::string_view part) {
    for (const char c : part) {
      switch (c) {
        case '&': result += "&amp;"; break;
        case '<': result += "&lt;"; break;
        case '>': result += "&gt;"; break;
        case '"': result += "&quot;"; break;
        case '\'': result += "&#39;"; break;
        default:
          if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t')
            result += "\uFFFD";
          else
            result += c;
      }
    }
  };
  for (std::size_t bad = 0; (bad = invalid_utf8(text)) != std::string_view::npos;) {
    well_formed(text.substr(0, bad));
    result += "\uFFFD";
    text.remove_prefix(bad + 1);
  }
  well_formed(text);
  return result;
}

}  // namespace mdnlab
