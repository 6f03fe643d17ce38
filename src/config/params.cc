#include "config/params.h"

#include <stdexcept>

#include "base/table.h"
#include "base/text.h"

namespace mdnlab {

namespace {

template <class Stored>
const Stored& stored(const Value& value, std::string_view name) {
  const auto* found = std::get_if<Stored>(&value);
  if (found == nullptr) {
    throw std::logic_error("option " + quote(name) + (value.is_set() ? " is of another type" : " is unset"));
  }
  return *found;
}

template <class Item>
std::vector<Item> stored_list(const Value& value, std::string_view name) {
  std::vector<Item> items;
  for (const Value& item : stored<Values>(value, name)) items.push_back(stored<Item>(item, name));
  return items;
}

}  // namespace

Params::Params(Place place, std::vector<std::pair<std::string, Value>> values, std::vector<Place> places)
    : place_(std::move(place)), values_(std::move(values)), places_(std::move(places)) {
  if (values_.size() != places_.size()) throw std::logic_error("Params: not one place a value");
}

std::size_t Params::index(std::string_view name) const {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].first == name) return i;
  }
  throw std::logic_error("no option " + quote(name) + " in the table");
}

bool Params::is_set(std::string_view name) const { return value(name).is_set(); }

bool Params::boolean(std::string_view name) const { return stored<bool>(value(name), name); }

std::int64_t Params::integer(std::string_view name) const { return stored<std::int64_t>(value(name), name); }

double Params::real(std::string_view name) const { return stored<double>(value(name), name); }

const std::string& Params::text(std::string_view name) const {
  return stored<std::string>(value(name), name);
}

std::vector<std::int64_t> Params::integers(std::string_view name) const {
  return stored_list<std::int64_t>(value(name), name);
}

std::vector<double> Params::reals(std::string_view name) const {
  return stored_list<double>(value(name), name);
}

std::vector<std::string> Params::texts(std::string_view name) const {
  return stored_list<std::string>(value(name), name);
}

const Value& Params::value(std::string_view name) const { return values_[index(name)].second; }

void Params::set(std::string_view name, Value value) { values_[index(name)].second = std::move(value); }

const Place& Params::place(std::string_view name) const { return places_[index(name)]; }

std::string Params::json() const {
  std::vector<std::string> members;
  for (const auto& [name, value] : values_) {
    if (value.is_set()) members.push_back(json_text(Value(name)) + ":" + json_text(value));
  }
  return "{" + join(members, ",") + "}";
}

Error Params::error(std::string_view name, std::string what, std::string expected, std::string hint) const {
  const std::size_t at = index(name);
  std::string found = expected.empty() || !values_[at].second.is_set() ? "" : json_text(values_[at].second);
  return Error(Code::usage, {.place = places_[at],
                             .what = std::move(what),
                             .found = std::move(found),
                             .expected = std::move(expected),
                             .hint = std::move(hint)});
}

}  // namespace mdnlab
