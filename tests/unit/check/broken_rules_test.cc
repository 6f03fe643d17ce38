// Rules with one fault each (tests/broken_rules): the suite finds the fault, where it is and nowhere else.
#include <gmock/gmock.h>

#include <cstdlib>
#include <set>

#include "check/layer_checks.h"
#include "check/suite.h"

namespace mdnlab::check {
namespace {

using testing::Contains;
using testing::ElementsAreArray;
using testing::IsEmpty;

struct Fault {
  const char* module;
  const char* failed_case;          // this one is among the failures,
  std::vector<std::string> groups;  // which are all in these; empty: anywhere, by chance
};
void PrintTo(const Fault& fault, std::ostream* stream) { *stream << fault.module; }

const Fault kFaults[] = {
    {"sound_gates", "", {}},
    {"sound_mixer", "", {}},
    {"late_decay", "layer/forward/T=31/f64/y", {"documents", "forward", "split", "step"}},
    {"future_leak", "layer/causality/t=20/f64/y", {"causality", "documents", "forward", "split", "step"}},
    {"dropped_eta_gradient", "layer/gradient/differences/f64/d_e_proj.weight", {"gradient"}},
    {"rounded_gate", "layer/gradient/differences/f64/d_m_proj.weight", {"gradient"}},
    {"overflowing_gate", "layer/gates/x*100/f32/eta", {"extremes", "gates"}},
    {"growing_gate", "layer/gates/x*1/f32/log_alpha", {"gates"}},
    {"undeclared_decay", "layer/capabilities/f32/decay", {"capabilities"}},
    {"kept_state", "layer/documents/f64/y", {"documents"}},
    {"leaking_convolution", "layer/documents/f64/y", {"documents"}},
    {"forgotten_convolution", "layer/split/at=33/f64/y", {"documents", "forward", "split", "step"}},
    {"detached_state", "layer/split/at=20/f64/d_x", {"split"}},
    {"wrong_state_size", "layer/state/f32/S", {"state"}},
    {"mixed_rows", "layer/rows/alone/f64/y", {"documents", "rows"}},
    {"noisy", "layer/repeat/again/f64/y", {"causality", "repeat", "rows"}},
    {"unwritten_memory", "layer/repeat/poisoned/f32/y", {}},
};

class BrokenRule : public testing::TestWithParam<Fault> {};

TEST_P(BrokenRule, FailsWhereItIsBroken) {
  const Fault& fault = GetParam();
  const Plugin plugin(std::string(std::getenv("MDNLAB_BUILD")) + "/tests/broken_rules/" + fault.module +
                      ".so");
  Verdict verdict;
  check_layer(layer_choices(plugin, {}).front(), 1, at::kCPU, verdict);
  std::vector<std::string> names;
  std::set<std::string> groups;
  for (const Case& row : verdict.cases()) {
    if (row.passed) continue;
    names.push_back(row.name);
    groups.insert(row.group.substr(sizeof("layer/") - 1));
  }
  if (!*fault.failed_case) {
    EXPECT_THAT(names, IsEmpty());
    return;
  }
  EXPECT_THAT(names, Contains(fault.failed_case));
  if (!fault.groups.empty()) {
    EXPECT_THAT(groups, ElementsAreArray(fault.groups)) << testing::PrintToString(names);
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, BrokenRule, testing::ValuesIn(kFaults),
                         [](const auto& info) { return std::string(info.param.module); });

}  // namespace
}  // namespace mdnlab::check
