#include <cmath>
#include <stdexcept>

#include "base/text.h"
#include "config/params.h"
#include "config/plain.h"
#include "config/yaml.h"

namespace mdnlab {

namespace {

// One option on its way from the document to its value, with what its messages need.
struct Option {
  const Field& field;
  std::string path;  // train.lr
};

std::string found_text(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null: return "null";
    case Node::Kind::list: return "a list";
    case Node::Kind::map: return "a map";
    case Node::Kind::scalar: return (node.is_quoted ? "the text " : "") + quote(node.scalar);
  }
  return "";
}

bool is_list(Type type) { return type == Type::integers || type == Type::reals || type == Type::texts; }

Type item_type(Type type) {
  switch (type) {
    case Type::integers: return Type::integer;
    case Type::reals: return Type::real;
    case Type::texts: return Type::text;
    default: return type;
  }
}

std::string type_text(Type type) {
  switch (type) {
    case Type::boolean: return "true or false";
    case Type::integer: return "an integer";
    case Type::real: return "a number";
    case Type::text: return "a text";
    case Type::integers: return "a list of integers";
    case Type::reals: return "a list of numbers";
    case Type::texts: return "a list of texts";
  }
  return "";
}

[[noreturn]] void fail_type(const Option& option, const Node& node, Type type) {
  const bool reads_as_number = node.is_quoted && (type == Type::integer || type == Type::real);
  throw Error(Code::usage, {.place = node.place,
                            .what = option.path + " has the wrong type",
                            .found = found_text(node),
                            .expected = type_text(type),
                            .hint = reads_as_number ? "a number stands without quotes" : ""});
}

// 1_000_000: an underscore may stand between two digits.
bool without_underscores(std::string_view text, std::string& digits) {
  const auto is_digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
    } else if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1)) {
      return false;
    }
  }
  return true;
}

bool read_real(const Node& node, double& value) {
  std::string digits;
  return without_underscores(node.scalar, digits) && parse_real(digits, value);
}

bool read_integer(const Node& node, std::int64_t& value) {
  std::string digits;
  if (!without_underscores(node.scalar, digits)) return false;
  if (parse_integer(digits, value)) return true;
  double real = 0;  // 1e6; past 2^53 a double may be another integer than the one written
  if (!parse_real(digits, real) || real != std::floor(real) || std::abs(real) > 0x1p53) return false;
  value = static_cast<std::int64_t>(real);
  return true;
}

void check_range(const Option& option, const Node& node, double value) {
  const Field& field = option.field;
  if (value >= field.least && value <= field.most) return;
  throw Error(Code::usage, {.place = node.place,
                            .what = option.path + " is out of range",
                            .found = node.scalar,
                            .expected = range_text(field)});
}

void check_choice(const Option& option, const Node& node) {
  if (option.field.choices == nullptr) return;
  const std::vector<std::string> choices = split(option.field.choices, '|');
  for (const std::string& choice : choices) {
    if (choice == node.scalar) return;
  }
  const std::string close = nearest(node.scalar, choices);
  throw Error(Code::usage, {.place = node.place,
                            .what = option.path + " has an unknown value",
                            .found = quote(node.scalar),
                            .expected = "one of " + join(choices, ", "),
                            .hint = close.empty() ? "" : "did you mean " + quote(close) + "?"});
}

Value read_scalar(const Option& option, const Node& node, Type type) {
  if (node.kind != Node::Kind::scalar) fail_type(option, node, type);
  if (type == Type::text) {
    check_choice(option, node);
    return node.scalar;
  }
  if (node.is_quoted) fail_type(option, node, type);
  if (type == Type::boolean) {
    if (node.scalar != "true" && node.scalar != "false") fail_type(option, node, type);
    return node.scalar == "true";
  }
  if (type == Type::integer) {
    std::int64_t value = 0;
    if (!read_integer(node, value)) fail_type(option, node, type);
    check_range(option, node, static_cast<double>(value));
    return value;
  }
  double value = 0;
  if (!read_real(node, value)) fail_type(option, node, type);
  check_range(option, node, value);
  return value;
}

Value read_value(const Option& option, const Node& node) {
  const Type type = option.field.type;
  if (!is_list(type)) return read_scalar(option, node, type);
  if (node.kind != Node::Kind::list) fail_type(option, node, type);
  Values values;
  for (const Node& item : node.items) values.push_back(read_scalar(option, item, item_type(type)));
  return values;
}

// A default obeys its field's type, range and choices: a table that breaks them is a fault of the program.
Value read_preset(const Option& option, const Place& missing_at) {
  const char* preset = option.field.preset;
  if (preset == nullptr) return {};
  if (preset == std::string_view(Field::required)) {
    throw Error(Code::usage,
                {.place = missing_at, .what = option.path + " is required", .hint = option.field.doc});
  }
  try {
    return read_value(option, plain_node(preset, option.field.type, {}));
  } catch (const Error& error) {
    throw std::logic_error("the default of " + option.path + ": " + error.what());
  }
}

std::string dotted(std::string_view section, std::string_view name) {
  return section.empty() ? std::string(name) : std::string(section) + "." + std::string(name);
}

void refuse_unknown(const Node& map, std::string_view section, std::span<const Field> fields,
                    std::span<const std::string> others) {
  std::vector<std::string> known;
  for (const Field& field : fields) known.emplace_back(field.name);
  known.insert(known.end(), others.begin(), others.end());
  for (const Node::Entry& entry : map.entries) {
    bool is_known = false;
    for (const std::string& name : known) is_known = is_known || name == entry.key;
    if (is_known) continue;
    throw Error(Code::usage, {.place = entry.place,
                              .what = "unknown key " + quote(dotted(section, entry.key)),
                              .hint = suggestion(entry.key, known)});
  }
}

}  // namespace

Params read_params(const Node& map, std::string_view section, std::span<const Field> fields,
                   std::span<const std::string> others) {
  if (map.kind == Node::Kind::scalar || map.kind == Node::Kind::list) {
    throw Error(Code::usage, {.place = map.place,
                              .what = section.empty() ? "the document has the wrong type"
                                                      : std::string(section) + " has the wrong type",
                              .found = found_text(map),
                              .expected = "a map of options"});
  }
  refuse_unknown(map, section, fields, others);
  std::vector<std::pair<std::string, Value>> values;
  std::vector<Place> places;
  for (const Field& field : fields) {
    const Option option{field, dotted(section, field.name)};
    const Node* given = map.find(field.name);
    const Place& place = given != nullptr ? given->place : map.place;
    const bool is_given = given != nullptr && given->kind != Node::Kind::null;
    values.emplace_back(field.name, is_given ? read_value(option, *given) : read_preset(option, place));
    places.push_back(place);
  }
  return Params(map.place, std::move(values), std::move(places));
}

Params default_params(std::string_view section, std::span<const Field> fields) {
  return read_params(Node{}, section, fields);
}

}  // namespace mdnlab
