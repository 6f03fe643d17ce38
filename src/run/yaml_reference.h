// The YAML reference, written from the tables that the program itself reads by.
#pragma once

#include <string>

#include "rule/loader.h"

namespace mdnlab {

// Markdown: every section of a document with its options, the rules' and tasks' own among them.
std::string yaml_reference(const Plugins& plugins);

}  // namespace mdnlab
