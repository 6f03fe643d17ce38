// What `mdnlab rules spectrum` prints.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/table.h"
#include "check/stability/spectrum.h"
#include "cli/spectrum_checkpoint.h"

namespace mdnlab {

std::string spectrum_text(const stability::Spectrum& spectrum);
nlohmann::ordered_json spectrum_json(const stability::Spectrum& spectrum);

std::string checkpoint_text(const CheckpointGates& gates);
nlohmann::ordered_json checkpoint_json(const CheckpointGates& gates);

// The trajectory of part 3, one row a token.
Table trajectory_table(const stability::Spectrum& spectrum);

}  // namespace mdnlab
