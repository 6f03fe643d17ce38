#include "task/wikitext_spacing.h"

#include <string_view>

#include "base/text.h"

namespace mdnlab {

namespace {

struct Replaced {
  std::string_view from, to;
};

constexpr Replaced before_brackets[] = {{"s '", "s'"}, {" @-@ ", "-"}, {" @,@ ", ","}, {" @.@ ", "."},
                                        {" : ", ": "}, {" ; ", "; "},  {" . ", ". "},  {" ! ", "! "},
                                        {" ? ", "? "}, {" , ", ", "}};
constexpr Replaced after_brackets[] = {{"= = = =", "===="},    {"= = =", "==="}, {"= =", "=="},
                                       {" \u00b0 ", "\u00b0"}, {" \n", "\n"},    {"\n ", "\n"},
                                       {" N ", " 1 "},         {" 's", "'s"}};

// From left to right; what was put in is not looked at again.
void replace_all(std::string& text, const Replaced& replaced) {
  std::string result;
  std::size_t from = 0;
  for (std::size_t at; (at = text.find(replaced.from, from)) != std::string::npos;
       from = at + replaced.from.size())
    result.append(text, from, at - from).append(replaced.to);
  text = result.append(text, from);
}

// No space inside a pair: from an opening mark to the next closing one.
void tighten(std::string& text, char open, char close) {
  std::string result;
  std::size_t from = 0;
  for (std::size_t begin; (begin = text.find(open, from)) != std::string::npos;) {
    const std::size_t end = text.find(close, begin + 1);
    if (end == std::string::npos) break;
    result.append(text, from, begin - from);
    result += open + trim(std::string_view(text).substr(begin + 1, end - begin - 1)) + close;
    from = end + 1;
  }
  text = result.append(text, from);
}

}  // namespace

std::string without_wikitext_spacing(std::string page) {
  for (const Replaced& replaced : before_brackets) replace_all(page, replaced);
  for (const std::string_view pair : {"()", "[]", "{}", "\"\"", "''"}) tighten(page, pair[0], pair[1]);
  for (const Replaced& replaced : after_brackets) replace_all(page, replaced);
  return page;
}

}  // namespace mdnlab
