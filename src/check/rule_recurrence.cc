#include "check/rule_recurrence.h"

#include <algorithm>

#include "base/text.h"

namespace mdnlab {

RuleRecurrence recurrence_of(const Plugin& plugin, const Params& options) {
  const Capabilities& capabilities = plugin.info().capabilities;
  if (!capabilities.scans) {
    throw Error(Code::usage, {.what = quote(plugin.info().name) +
                                      " has no recurrence to apply: it attends to keys and values",
                              .hint = "take a rule with a recurrence of `mdnlab rules list`"});
  }
  RuleRecurrence recurrence{.rule = plugin.info().name,
                            .delta = capabilities.delta,
                            .momentum = capabilities.momentum,
                            .decay = capabilities.decay};
  const auto has = [&](const char* name) {
    return std::ranges::any_of(plugin.options(),
                               [&](const Field& field) { return std::string_view(field.name) == name; });
  };
  if (has("delta")) recurrence.delta = options.boolean("delta");
  if (has("momentum")) recurrence.momentum = options.boolean("momentum");
  if (has("decay")) recurrence.decay = options.text("decay");
  if (has("look_ahead")) recurrence.look_ahead = options.real("look_ahead");
  return recurrence;
}

}  // namespace mdnlab
