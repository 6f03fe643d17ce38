#include "cli/whole_report.h"

#include "base/file.h"
#include "report/forms.h"
#include "report/report.h"

namespace mdnlab {

void write_whole_report(const Arguments& arguments, const std::filesystem::path& output) {
  const std::optional<std::filesystem::path> peers =
      arguments.has("peers") ? std::optional<std::filesystem::path>(arguments.text("peers")) : std::nullopt;
  const Report report = make_report(arguments.database(), arguments.plugins(), peers);
  if (is_folder(output))
    write_csv_folder(report, output);
  else
    replace_file(output, output.extension() == ".html" ? html_page(report) : markdown_page(report));
}

}  // namespace mdnlab
