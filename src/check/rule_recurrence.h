// Which member of the scan's family a rule is: what its bare recurrence uses.
#pragma once

#include <string>

#include "config/params.h"
#include "rule/loader.h"

namespace mdnlab {

struct RuleRecurrence {
  std::string rule;
  bool delta = false;
  bool momentum = false;
  std::string decay;      // none | scalar | channel
  double look_ahead = 0;  // ω of scan/chunk.h
};

// As the rule's capabilities say; where its options have delta, momentum, decay or look_ahead (`family`), as
// these say. A rule without a recurrence (attention) is Code::usage, with the reason.
RuleRecurrence recurrence_of(const Plugin& plugin, const Params& options);

}  // namespace mdnlab
