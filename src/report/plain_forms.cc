#include <fmt/format.h>

#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "report/forms.h"
#include "store/named_query.h"

namespace mdnlab {

std::string markdown_page(const Report& report) {
  std::string text = fmt::format("# {}\n\n{}\n", report.title, report.summary);
  for (const Section& section : report.sections) {
    if (section.is_empty()) continue;
    text += fmt::format("\n## {}\n", section.title);
    for (const Figure& figure : section.figures) {
      text += fmt::format("\n### {}\n\n", figure.title);
      if (!figure.about.empty()) text += figure.about + "\n\n";
      text += figure.table.for_reading().text(TableFormat::markdown);
      if (!figure.queries.empty())
        text += fmt::format("\nFrom `mdnlab query {}`.\n", join(figure.queries, "`, `mdnlab query "));
    }
    for (const Text& document : section.texts) {
      text += fmt::format("\n{}\n\n", document.title);
      for (const std::string& line : split(document.body, '\n'))
        text += line.empty() ? "\n" : "    " + line + "\n";
    }
  }
  for (const Section& section : report.sections) {
    if (section.is_empty() && !section.how_to_fill.empty())
      text += fmt::format("\nNot in this database yet: {}. Run `{}`.\n", section.title, section.how_to_fill);
  }
  return text;
}

void write_csv_folder(const Report& report, const std::filesystem::path& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder / "queries", failure);
  if (failure) {
    throw Error(Code::usage, {.place = {.file = folder.string()},
                              .what = "the folder cannot be made",
                              .found = failure.message()});
  }
  std::set<std::string> queries;
  for (const Section& section : report.sections) {
    for (const Figure& figure : section.figures) {
      replace_file(folder / (figure.file + ".csv"), figure.table.exact().text(TableFormat::csv));
      queries.insert(figure.queries.begin(), figure.queries.end());
    }
  }
  for (const std::string& name : queries)
    replace_file(folder / "queries" / (name + ".sql"), named_query(name).sql);
}

}  // namespace mdnlab
