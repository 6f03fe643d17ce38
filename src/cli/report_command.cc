#include "base/file.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/whole_report.h"
#include "report/comparison_table.h"

namespace mdnlab {

namespace {

int run(std::span<const std::string> words) {
  Arguments arguments(
      {.usage = "mdnlab report [-o FILE.html|FILE.md|FILE.csv|FOLDER/] [options]",
       .about =
           "What the database says. Without -o the comparison table: one row a rule and choice of the options "
           "that a sweep varies beside the seed. -o writes the whole report: a page (.html) with figures, "
           "intervals, the table under each figure and the query behind each number; the same tables as "
           "Markdown (.md), or as one CSV each in a folder. FILE.csv is the comparison table alone.",
       .examples = "  mdnlab report\n"
                   "  mdnlab report --db results.db -o report.html\n"
                   "  mdnlab report -o report.html --peers experiments/data/peers.csv\n"
                   "  mdnlab report -o tables/\n"
                   "  mdnlab report --csv\n"});
  arguments.option("output,o FILE",
                   "write it there instead of stdout; the ending chooses the form, a folder ends in /");
  arguments.option("peers FILE", "CSV of others' kernel times, drawn beside ours");
  arguments.add_database();
  arguments.add_plugins();
  arguments.add_formats();
  if (!arguments.parse(words)) return 0;
  const std::filesystem::path output = arguments.text("output");
  const std::string ending = output.extension().string();
  if (output.empty() || ending == ".csv") {
    const TableFormat format = output.empty() ? arguments.format(TableFormat::markdown) : TableFormat::csv;
    const std::string text = comparison_table(arguments.database(), format);
    if (output.empty())
      print(text);
    else
      replace_file(output, text);
    return 0;
  }
  if (!is_folder(output) && ending != ".html" && ending != ".md") {
    throw Error(Code::usage,
                {.what = "a report is a page, Markdown, or CSV",
                 .found = output.string(),
                 .expected = "a file that ends in .html, .md or .csv, or a folder that ends in /"});
  }
  write_whole_report(arguments, output);
  note("wrote " + output.string());
  return 0;
}

}  // namespace

const Command report_command{"report", "write the comparison table, or the whole report as a page", run};

}  // namespace mdnlab
