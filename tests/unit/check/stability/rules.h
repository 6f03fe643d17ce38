// The gate sets of the program's rules, for tests.
#pragma once

#include <string>
#include <vector>

#include "check/stability/gate_set.h"
#include "config/params.h"

namespace mdnlab::stability {

// `settings` as of --set.
inline GateSet gates_of(const std::string& rule, const std::vector<std::string>& settings = {}) {
  static const Plugins plugins;
  const Plugin& plugin = plugins.find(rule);
  return described_gates(plugin.info(), read_settings(settings, "rule", plugin.options())).value();
}

}  // namespace mdnlab::stability
