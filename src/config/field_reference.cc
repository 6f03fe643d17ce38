#include "base/table.h"
#include "base/text.h"
#include "config/params.h"

namespace mdnlab {

namespace {

std::string type_name(Type type) {
  switch (type) {
    case Type::boolean: return "boolean";
    case Type::integer: return "integer";
    case Type::real: return "real";
    case Type::text: return "text";
    case Type::integers: return "list of integers";
    case Type::reals: return "list of reals";
    case Type::texts: return "list of texts";
  }
  return "";
}

std::string default_text(const Field& field) {
  if (field.preset == nullptr) return "unset";
  if (field.preset == std::string_view(Field::required)) return "required";
  return *field.preset == '\0' ? "empty" : "`" + std::string(field.preset) + "`";
}

std::string allowed_text(const Field& field) {
  return field.choices != nullptr ? join(split(field.choices, '|'), ", ") : range_text(field);
}

}  // namespace

std::string range_text(const Field& field) {
  const bool has_least = field.least > -std::numeric_limits<double>::infinity();
  const bool has_most = field.most < std::numeric_limits<double>::infinity();
  if (has_least && has_most) return shortest(field.least) + " to " + shortest(field.most);
  if (has_least) return "at least " + shortest(field.least);
  return has_most ? "at most " + shortest(field.most) : "";
}

std::string field_reference(std::span<const Field> fields) {
  Table table{{{"name"}, {"type"}, {"default"}, {"range"}, {"meaning"}}, {}};
  for (const Field& field : fields) {
    table.rows.push_back({"`" + std::string(field.name) + "`", type_name(field.type), default_text(field),
                          allowed_text(field), field.doc});
  }
  return table.text(TableFormat::markdown);
}

}  // namespace mdnlab
