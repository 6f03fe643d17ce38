#include "run/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/random.h"
#include "base/text.h"
#include "run/config.h"

namespace mdnlab {

namespace {

struct Setting {
  std::string path;
  Place place;  // of the path
  Node value;
};
using Point = std::vector<Setting>;
using Axis = std::vector<Point>;

constexpr std::size_t most_runs = 1'000'000;

constexpr Field of_random[] = {
    {.name = "samples",
     .type = Type::integer,
     .preset = Field::required,
     .doc = "points",
     .least = 1,
     .most = most_runs},
    {.name = "seed", .type = Type::integer, .preset = "0", .doc = "of the draws", .least = 0}};

[[noreturn]] void fail(const Place& place, std::string what, std::string found = {},
                       std::string expected = {}) {
  throw Error(Code::usage, {place, std::move(what), std::move(found), std::move(expected)});
}

const std::vector<Node>& values_of(const std::string& path, const Node& node) {
  if (node.kind != Node::Kind::list || node.items.empty()) {
    fail(node.place, "sweep." + path + " has no values", {}, "a list that is not empty");
  }
  return node.items;
}

// Only the first word can be checked before the document is read: sections are known, their keys depend on
// it.
void check_path(const Node::Entry& entry) {
  const std::string first = split(entry.key, '.')[0];
  std::vector<std::string> sections;
  for (const std::string& key : document_keys()) {
    if (key != "sweep" && key != "schema") sections.push_back(key);
  }
  if (std::ranges::find(sections, first) != sections.end()) return;
  throw Error(
      Code::usage,
      {entry.place, "the sweep path names nothing", quote(entry.key), {}, suggestion(first, sections)});
}

Axis grid_axis(const Node::Entry& entry) {
  check_path(entry);
  Axis axis;
  for (const Node& value : values_of(entry.key, entry.value))
    axis.push_back({{entry.key, entry.place, value}});
  return axis;
}

Axis zip_axis(const Node& map) {
  if (map.kind != Node::Kind::map || map.entries.empty())
    fail(map.place, "an item of sweep.zip is no map of lists");
  const std::size_t count = values_of(map.entries[0].key, map.entries[0].value).size();
  Axis axis(count);
  for (const Node::Entry& entry : map.entries) {
    check_path(entry);
    const std::vector<Node>& values = values_of(entry.key, entry.value);
    if (values.size() != count) {
      fail(entry.place, "the lists of a zip differ in length",
           fmt::format("{} values of {}", values.size(), entry.key),
           fmt::format("{}, as {} has", count, map.entries[0].key));
    }
    for (std::size_t i = 0; i < count; ++i) axis[i].push_back({entry.key, entry.place, values[i]});
  }
  return axis;
}

Node draw(const Node::Entry& entry, Random& random) {
  const Node& law = entry.value;
  if (law.kind != Node::Kind::map || law.entries.size() != 1) {
    fail(law.place, "sweep.random.over." + entry.key + " is no law", {},
         "{uniform: [a, b]}, {log_uniform: [a, b]} or {choice: […]}");
  }
  const auto& [word, place, values] = law.entries[0];
  if (word == "choice") {
    const std::vector<Node>& choices = values_of(entry.key, values);
    return choices[random.below(choices.size())];
  }
  double low = 0, high = 0;
  const bool numbers = values.kind == Node::Kind::list && values.items.size() == 2 &&
                       parse_real(values.items[0].scalar, low) && parse_real(values.items[1].scalar, high) &&
                       low < high;
  const bool logarithmic = word == "log_uniform";
  if (word != "uniform" && !logarithmic) {
    const std::string laws[] = {"uniform", "log_uniform", "choice"};
    throw Error(Code::usage, {place, "unknown law", quote(word), {}, suggestion(word, laws)});
  }
  if (!numbers || (logarithmic && low <= 0)) {
    fail(values.place, word + " has no range", {},
         logarithmic ? "[a, b] with 0 < a < b" : "[a, b] with a < b");
  }
  const double value =
      logarithmic ? std::exp(random.uniform(std::log(low), std::log(high))) : random.uniform(low, high);
  return {.kind = Node::Kind::scalar, .scalar = shortest(value), .place = values.place};
}

Axis random_axis(const Node& node) {
  const std::string own[] = {"over"};
  const Params params = read_params(node, "sweep.random", random_fields(), own);
  const Node* over = node.find("over");
  if (!over || over->kind != Node::Kind::map || over->entries.empty()) {
    fail(node.place, "sweep.random has nothing to draw", {},
         "over: {path: {uniform|log_uniform: [a, b]} | {choice: […]}}");
  }
  Axis axis;
  for (std::int64_t sample = 0; sample < params.integer("samples"); ++sample) {
    Random random{static_cast<std::uint64_t>(params.integer("seed")), 0x7377656570,
                  static_cast<std::uint64_t>(sample)};
    Point point;
    for (const Node::Entry& entry : over->entries) {
      check_path(entry);
      point.push_back({entry.key, entry.place, draw(entry, random)});
    }
    axis.push_back(std::move(point));
  }
  return axis;
}

std::vector<Axis> axes_of(const Node& sweep) {
  if (sweep.kind != Node::Kind::map)
    fail(sweep.place, "sweep is no map", {}, "path: [values], zip: […] or random: {…}");
  std::vector<Axis> axes;
  for (const Node::Entry& entry : sweep.entries) {
    if (entry.key == "zip") {
      if (entry.value.kind != Node::Kind::list)
        fail(entry.value.place, "sweep.zip is no list", {}, "zip: [{path: […], path2: […]}]");
      for (const Node& map : entry.value.items) axes.push_back(zip_axis(map));
    } else if (entry.key == "random") {
      axes.push_back(random_axis(entry.value));
    } else {
      axes.push_back(grid_axis(entry));
    }
  }
  return axes;
}

// `rule: mdn` is short for `rule: {name: mdn}`; a path into it meets the long form.
void apply(Node& document, const Setting& setting) {
  Node* rule = document.find("rule");
  if (rule && rule->kind == Node::Kind::scalar && setting.path.starts_with("rule.")) {
    *rule = {.kind = Node::Kind::map, .place = rule->place, .entries = {{"name", rule->place, *rule}}};
  }
  set_path(document, setting.path, setting.value);
}

// A map is called by its name; a list or an unnamed map by nothing, so that its neighbours in a zip speak for
// it.
std::string label_of(const Setting& setting) {
  if (setting.value.kind == Node::Kind::scalar) return setting.path + "=" + setting.value.scalar;
  const Node* name = setting.value.find("name");
  return name ? setting.path + "=" + name->scalar : "";
}

}  // namespace

std::span<const Field> random_fields() { return of_random; }

std::vector<SweepPoint> expand_sweep(const Node& root) {
  SweepPoint base{root, {}};
  std::erase_if(base.document.entries, [](const Node::Entry& entry) { return entry.key == "sweep"; });
  std::vector<SweepPoint> points{std::move(base)};
  const Node* sweep = root.find("sweep");
  if (!sweep || sweep->kind == Node::Kind::null) return points;
  for (const Axis& axis : axes_of(*sweep)) {
    if (points.size() * axis.size() > most_runs)
      fail(sweep->place, fmt::format("the sweep has more than {} runs", most_runs));
    std::vector<SweepPoint> crossed;
    for (const SweepPoint& point : points) {
      for (const Point& settings : axis) {
        SweepPoint next = point;
        std::size_t labels = 0;
        for (const Setting& setting : settings) {
          apply(next.document, setting);
          const std::string label = label_of(setting);
          if (label.empty()) continue;
          next.label += (next.label.empty() ? "" : ", ") + label;
          ++labels;
        }
        if (labels == 0) {
          next.label += fmt::format("{}{}#{}", next.label.empty() ? "" : ", ", settings[0].path,
                                    &settings - axis.data());
        }
        crossed.push_back(std::move(next));
      }
    }
    points = std::move(crossed);
  }
  return points;
}

}  // namespace mdnlab
