// Values outside a document: a field's default, a word of --set.
#pragma once

#include <string_view>

#include "config/params.h"
#include "config/yaml.h"

namespace mdnlab {

// The node that a document would hold: a text as it stands, `null`, a list from `[a, b]` or `a, b`, else a
// scalar.
Node plain_node(std::string_view text, Type type, const Place& place);

}  // namespace mdnlab
