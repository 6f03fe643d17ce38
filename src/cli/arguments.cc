#include "cli/arguments.h"

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <cstdlib>
#include <limits>
#include <sstream>

#include "base/log.h"
#include "base/text.h"
#include "base/wrapped.h"

namespace mdnlab {

namespace po = boost::program_options;

constexpr unsigned columns = 80;

struct Arguments::State {
  explicit State(const ArgumentsHelp& text) : help(text), visible("options", columns, columns / 2) {}

  struct Positional {
    std::string name, doc;
    int least, most;
  };

  ArgumentsHelp help;
  po::options_description visible;
  std::vector<std::string> names;  // of options, for suggestions
  std::vector<Positional> positionals;
  po::variables_map values;

  template <typename Value>
  void add(std::string_view words, po::typed_value<Value>* value, const std::string& doc) {
    const std::size_t space = words.find(' ');
    const std::string name(words.substr(0, space));
    value->value_name(space == words.npos ? "VALUE" : std::string(words.substr(space + 1)));
    visible.add_options()(name.c_str(), value, doc.c_str());
    names.push_back("--" + split(name, ',')[0]);
  }
};

Arguments::Arguments(const ArgumentsHelp& help) : state_(std::make_unique<State>(help)) {
  state_->visible.add_options()("help,h", "print this");
  state_->names.emplace_back("--help");
}

Arguments::~Arguments() = default;

void Arguments::flag(const char* name, const char* doc) {
  state_->visible.add_options()(name, doc);
  state_->names.push_back("--" + std::string(name));
}

void Arguments::option(const char* name, const char* doc, const char* preset) {
  auto* value = po::value<std::string>();
  if (preset) value->default_value(preset, "");
  state_->add(name, value, preset ? fmt::format("{} (default {})", doc, preset) : doc);
}

void Arguments::list(const char* name, const char* doc) {
  state_->add(name, po::value<std::vector<std::string>>(), doc);
}

void Arguments::positional(const char* name, const char* doc, int least, int most) {
  state_->positionals.push_back({name, doc, least, most});
}

void Arguments::add_database() { option("db FILE", "the database; else MDNLAB_DB, else ./mdnlab.db"); }

void Arguments::add_plugins() { list("plugin FILE.so", "a rule plugin to load beside those installed"); }

void Arguments::add_device(Device usual) {
  option("device DEVICE", "cpu, cuda, cuda:N, or auto: a GPU where there is one",
         usual == Device::cpu ? "cpu" : "auto");
}

void Arguments::add_formats() {
  flag("json", "print JSON");
  flag("csv", "print CSV");
}

bool Arguments::parse(std::span<const std::string> words) {
  po::options_description all = state_->visible;
  po::positional_options_description order;
  for (const auto& positional : state_->positionals) {
    all.add_options()(positional.name.c_str(), po::value<std::vector<std::string>>());
    order.add(positional.name.c_str(), positional.most);
  }
  const auto fail = [&](std::string what, std::string found, std::string hint) {
    if (!hint.empty()) hint += hint.ends_with('?') ? " " : "; ";
    throw Error(Code::usage,
                {{}, std::move(what), std::move(found), {}, hint + "usage: " + state_->help.usage});
  };
  try {
    using namespace po::command_line_style;
    po::store(po::command_line_parser(std::vector<std::string>(words.begin(), words.end()))
                  .options(all)
                  .positional(order)
                  .style(allow_long | allow_short | allow_dash_for_short | long_allow_adjacent |
                         long_allow_next | short_allow_next)
                  .run(),
              state_->values);
    po::notify(state_->values);
  } catch (const po::unknown_option& error) {
    const std::string word = error.get_option_name();
    fail("unknown option", quote(word),
         suggestion("--" + word.substr(std::min(word.find_first_not_of('-'), word.size())), state_->names));
  } catch (const po::too_many_positional_options_error&) {
    fail("too many words", {}, {});
  } catch (const po::error& error) {
    fail(error.what(), {}, {});
  }
  if (state_->values.count("help")) {
    std::ostringstream text;
    text << "usage: " << state_->help.usage << "\n\n" << wrapped(state_->help.about, columns) << "\n\n";
    for (const auto& positional : state_->positionals)
      text << fmt::format("  {:<14} {}\n", positional.name, positional.doc);
    if (!state_->positionals.empty()) text << "\n";
    text << state_->visible << "\nexamples:\n" << state_->help.examples;
    print(text.str());
    return false;
  }
  for (const auto& positional : state_->positionals) {
    if (std::ssize(texts(positional.name.c_str())) < positional.least)
      fail(positional.name + " is missing", {}, {});
  }
  return true;
}

bool Arguments::has(const char* name) const { return state_->values.count(name) > 0; }

std::string Arguments::text(const char* name) const {
  const auto& value = state_->values[name];
  if (value.empty()) return {};
  if (const auto* list = boost::any_cast<std::vector<std::string>>(&value.value())) return list->front();
  return value.as<std::string>();
}

std::int64_t Arguments::integer(const char* name, std::int64_t least) const {
  std::int64_t value = 0;
  if (!parse_integer(text(name), value) || value < least) {
    throw Error(Code::usage, {.what = fmt::format("--{} is no number", name),
                              .found = quote(text(name)),
                              .expected = fmt::format("a whole number, {} or more", least)});
  }
  return value;
}

double Arguments::real(const char* name, double least, double most) const {
  double value = 0;
  if (!parse_real(text(name), value) || value < least || value > most) {
    throw Error(Code::usage, {.what = fmt::format("--{} is out of range or no number", name),
                              .found = quote(text(name)),
                              .expected = fmt::format("{} to {}", least, most)});
  }
  return value;
}

std::vector<std::string> Arguments::texts(const char* name) const {
  const auto& value = state_->values[name];
  return value.empty() ? std::vector<std::string>{} : value.as<std::vector<std::string>>();
}

std::filesystem::path Arguments::database() const {
  if (has("db")) return text("db");
  const char* variable = std::getenv("MDNLAB_DB");
  return variable && *variable ? variable : "mdnlab.db";
}

std::vector<std::string> Arguments::plugin_words() const {
  std::vector<std::string> words;
  for (const std::string& file : texts("plugin")) {
    words.emplace_back("--plugin");
    words.push_back(std::filesystem::absolute(file).string());
  }
  return words;
}

TableFormat Arguments::format(TableFormat usual) const {
  return has("json") ? TableFormat::json : has("csv") ? TableFormat::csv : usual;
}

}  // namespace mdnlab
