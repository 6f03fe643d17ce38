#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "base/text.h"
#include "report/chart.h"
#include "report/embedded.h"
#include "report/escape.h"
#include "report/forms.h"
#include "store/named_query.h"

namespace mdnlab {

namespace {

constexpr std::size_t most_rows = 400;  // of one table on the page
constexpr std::size_t short_text = 36;  // bytes of a cell
constexpr std::size_t open_rows = 40;   // a longer table is folded

class Page {
 public:
  explicit Page(const Report& report) : report_(report) {}

  std::string text() && {
    add("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{}</style>\n"
        "</head>\n<body>\n<header>\n<h1>{}</h1>\n<p class=\"soft\">{}</p>\n",
        escape_html(report_.title), embedded::page_css, escape_html(report_.title),
        escape_html(report_.summary));
    contents();
    add("</header>\n<main>\n");
    for (const Section& section : report_.sections) {
      if (!section.is_empty()) add_section(section);
    }
    to_run();
    queries();
    add("</main>\n</body>\n</html>\n");
    return std::move(text_);
  }

 private:
  template <class... Values>
  void add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Values>(values)...);
  }

  void contents() {
    add("<nav>");
    for (const Section& section : report_.sections) {
      if (!section.is_empty()) add("<a href=\"#{}\">{}</a>", section.id, escape_html(section.title));
    }
    add("</nav>\n");
  }

  void add_section(const Section& section) {
    add("<section id=\"{}\">\n<h2>{}</h2>\n", section.id, escape_html(section.title));
    for (const Figure& figure : section.figures) add_figure(figure);
    for (const Text& text : section.texts) {
      add("<details><summary>{}</summary><pre>{}</pre></details>\n", escape_html(text.title),
          escape_html(text.body));
    }
    add("</section>\n");
  }

  void add_figure(const Figure& figure) {
    add("<figure>\n<h3>{}</h3>\n", escape_html(figure.title));
    if (!figure.about.empty()) add("<p class=\"soft\">{}</p>\n", escape_html(figure.about));
    add_panels(figure.legend, figure.panels, figure.is_wide);
    for (const FoldedPanels& folded : figure.folded) {
      add("<details><summary>{}</summary>\n", escape_html(folded.title));
      add_panels(folded.legend, folded.panels, figure.is_wide);
      add("</details>\n");
    }
    add_table(figure);
    add("</figure>\n");
  }

  void add_panels(const std::vector<LegendEntry>& legend, const std::vector<Panel>& panels, bool is_wide) {
    if (!legend.empty()) {
      add("<ul class=\"legend\">");
      for (const LegendEntry& entry : legend)
        add("<li>{}{}</li>", swatch(entry.style), escape_html(entry.name));
      add("</ul>\n");
    }
    if (panels.empty()) return;
    add("<div class=\"panels{}\">\n", is_wide ? " wide" : "");
    for (const Panel& panel : panels) {
      add("<div class=\"panel\">");
      if (!panel.title.empty()) add("<h4>{}</h4>", escape_html(panel.title));
      add("{}</div>\n", panel.svg);
    }
    add("</div>\n");
  }

  void add_table(const Figure& figure) {
    const Grid& grid = figure.table;
    if (grid.rows.empty()) return;
    add("<details{}><summary>Table, {} row{}</summary>\n<div class=\"table\" tabindex=\"0\"><table><thead><tr>",
        grid.rows.size() <= open_rows ? " open" : "", grouped(static_cast<std::int64_t>(grid.rows.size())),
        grid.rows.size() == 1 ? "" : "s");
    std::vector<std::size_t> read;
    for (std::size_t column = 0; column < grid.columns.size(); ++column) {
      if (grid.is_read(column)) read.push_back(column);
    }
    for (const std::size_t column : read)
      add("<th{}>{}</th>", class_of(grid.columns[column]), escape_html(heading(grid.columns[column].name)));
    add("</tr></thead><tbody>\n");
    for (std::size_t i = 0; i < std::min(grid.rows.size(), most_rows); ++i) {
      add("<tr>");
      for (const std::size_t column : read) {
        const Cell& cell = grid.rows[i][column];
        add("<td{}>{}", class_of(grid.columns[column], cell), escape_html(cell.shown));
        if (!cell.range.empty()) add("<small>{}</small>", escape_html(cell.range));
        add("</td>");
      }
      add("</tr>\n");
    }
    add("</tbody></table></div>\n");
    if (grid.rows.size() > most_rows) {
      add("<p class=\"soft\">The first {} rows; all are in {}.csv of <code>mdnlab report -o FOLDER</code>.</p>\n",
          most_rows, escape_html(figure.file));
    }
    add("</details>\n<p class=\"source\">From ");
    for (std::size_t i = 0; i < figure.queries.size(); ++i) {
      add("{}<a href=\"#query-{}\"><code>mdnlab query {}</code></a>", i == 0 ? "" : ", ", figure.queries[i],
          figure.queries[i]);
      used_.insert(figure.queries[i]);
    }
    add("</p>\n");
  }

  // What is short stays on one line, so that a narrow table scrolls rather than stack its words.
  static const char* class_of(const Grid::Column& column, const Cell& cell) {
    if (column.kind != Grid::Kind::words) return " class=\"number\"";
    return cell.shown.size() <= short_text ? " class=\"short\"" : "";
  }

  static const char* class_of(const Grid::Column& column) {
    return column.kind == Grid::Kind::words ? "" : " class=\"number\"";
  }

  // What is not in the database, and the command that brings it.
  void to_run() {
    std::string rows;
    for (const Section& section : report_.sections) {
      if (!section.is_empty() || section.how_to_fill.empty()) continue;
      rows += fmt::format("<tr><td class=\"short\">{}</td><td class=\"short\"><code>{}</code></td></tr>\n",
                          escape_html(section.title), escape_html(section.how_to_fill));
    }
    if (rows.empty()) return;
    add("<section id=\"to-run\">\n<h2>Not in this database yet</h2>\n<div class=\"table\" tabindex=\"0\"><table><thead><tr><th>what</th>"
        "<th>run</th></tr></thead><tbody>\n{}</tbody></table></div>\n</section>\n",
        rows);
  }

  void queries() {
    if (used_.empty()) return;
    add("<section id=\"queries\">\n<h2>Queries</h2>\n<p class=\"soft\">Every number above is a row of one of these, or "
        "worked out from its rows as said beside it.</p>\n");
    for (const std::string& name : used_) {
      add("<details id=\"query-{}\"><summary><code>mdnlab query {}</code></summary><pre>{}</pre></details>\n",
          name, name, escape_html(named_query(name).sql));
    }
    add("</section>\n");
  }

  const Report& report_;
  std::string text_;
  std::set<std::string> used_;
};

}  // namespace

std::string html_page(const Report& report) { return Page(report).text(); }

}  // namespace mdnlab
