// Typed field tables: each room (and each plugin) lists the options it understands, once; reading,
// defaults, range checks, errors, documentation and the resolved form all come from that list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "config/value.h"

namespace mdnlab {

struct Node;

enum class Type { boolean, integer, real, text, integers, reals, texts };

// A constant: a table of these needs no constructor to run when a module is loaded.
struct Field {
  static constexpr const char* required = "<required>";

  const char* name;
  Type type;
  const char* preset;  // the default as text, a list as "[a, b]"; nullptr: none; or Field::required
  const char* doc;     // one sentence, with the unit
  double least = -std::numeric_limits<double>::infinity();  // inclusive bounds of numbers and list items
  double most = std::numeric_limits<double>::infinity();
  const char* choices = nullptr;  // of a text: "a|b|c"
};

// The resolved options of one section: every field of its table, in the table's order.
class Params {
 public:
  Params() = default;
  Params(Place place, std::vector<std::pair<std::string, Value>> values, std::vector<Place> places);

  bool is_set(std::string_view name) const;
  bool boolean(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  double real(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  std::vector<std::int64_t> integers(std::string_view name) const;
  std::vector<double> reals(std::string_view name) const;
  std::vector<std::string> texts(std::string_view name) const;
  // Reading a name that the table lacks, or an unset value, is a std::logic_error: a fault of the caller.

  const Value& value(std::string_view name) const;
  void set(std::string_view name, Value value);     // a derived value, e.g. `auto` resolved; the field exists
  const Place& place() const { return place_; }     // of the section
  const Place& place(std::string_view name) const;  // of the value given, or of the section
  const std::vector<std::pair<std::string, Value>>& values() const { return values_; }

  // One JSON object, keys in the table's order, unset fields left out.
  std::string json() const;

  // An Error (Code::usage) at the place of `name`.
  Error error(std::string_view name, std::string what, std::string expected = {},
              std::string hint = {}) const;

 private:
  std::size_t index(std::string_view name) const;

  Place place_;
  std::vector<std::pair<std::string, Value>> values_;
  std::vector<Place> places_;
};

// Reads a YAML map against a table. `section` is the dotted path for messages ("train").
// Unknown key (with the nearest valid one), wrong type, out of range, not among the choices, required and
// missing: Code::usage. A default that its own table refuses: std::logic_error.
// Integers accept 1_000_000, and 1e6 when whole; reals accept integers; a null leaves the field at its
// default. A key listed in `others` belongs to somebody else and is passed over.
Params read_params(const Node& map, std::string_view section, std::span<const Field> fields,
                   std::span<const std::string> others = {});

// The defaults alone; a required field is an Error.
Params default_params(std::string_view section, std::span<const Field> fields);

// Reads `key=value` words (of --set), typed by the table: a text is taken as it stands, a list is `a,b` or
// `[a, b]`, `null` leaves the field at its default. The place of each value is its word.
// A word without `=` or a key set twice: Code::usage.
Params read_settings(std::span<const std::string> words, std::string_view section,
                     std::span<const Field> fields);

std::string range_text(const Field& field);  // "at least 1", "0 to 1", "" without bounds

// A Markdown table of the fields: name, type, default, range, meaning.
std::string field_reference(std::span<const Field> fields);

}  // namespace mdnlab
