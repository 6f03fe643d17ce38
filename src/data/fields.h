// The options of `data:`.
#pragma once

#include <span>

#include "config/params.h"

namespace mdnlab {

std::span<const Field> data_fields();

}  // namespace mdnlab
