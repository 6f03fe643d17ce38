// Where and with what this program runs.
#pragma once

#include "store/facts.h"

namespace mdnlab {

MachineFacts machine_facts();
BuildFacts build_facts();

}  // namespace mdnlab
