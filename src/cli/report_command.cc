#include "base/file.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "report/report.h"

namespace mdnlab {

namespace {

int run(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab report [-o FILE.md|FILE.csv] [options]",
       .about =
           "The comparison table of the database: one row a rule and choice of the options that a sweep varies "
           "beside the seed. Markdown, or CSV.",
       .examples = "  mdnlab report\n  mdnlab report --db results.db -o table.md\n  mdnlab report --csv\n"});
  arguments.option("output,o FILE",
                   "write it there instead of stdout; the ending chooses Markdown (.md) or CSV (.csv)");
  arguments.add_database();
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;
  const std::filesystem::path output = arguments.text("output");
  TableFormat format = arguments.format(TableFormat::markdown);
  if (output.extension() == ".csv")
    format = TableFormat::csv;
  else if (!output.empty() && output.extension() != ".md") {
    throw Error(Code::usage, {.what = "a report is Markdown or CSV",
                              .found = output.string(),
                              .expected = "a file that ends in .md or .csv"});
  }
  const std::string text = comparison_table(arguments.database(), format);
  if (output.empty()) {
    print(text);
  } else {
    replace_file(output, text);
  }
  return 0;
}

}  // namespace

const Command report_command{"report", "write the comparison table", run};

}  // namespace mdnlab
