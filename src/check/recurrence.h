// The recurrence level of the suite: an implementation of scan/chunk.h's contract against the float64
// recurrence, token by token and under plain autograd, on inputs that are drawn here. What is checked depends
// on what the rule's recurrence has, not on its gates.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "check/verdict.h"
#include "scan/chunk.h"

namespace mdnlab::check {

enum class Decay { none, scalar, channel };

// A cell of the family.
struct Recurrence {
  bool delta = false, momentum = false;
  Decay decay = Decay::none;

  bool operator==(const Recurrence&) const = default;
};

// What is under test; the tests of the suite put broken ones here.
struct Kernel {
  std::function<scan::Outputs(const scan::Inputs&, const scan::Options&)> chunk = scan::chunk;
  std::function<scan::Outputs(const scan::Inputs&)> step = [](const scan::Inputs& in) { return scan::step(in); };
};

// Every case of both files: against the reference (recurrence_cases.cc), and what must hold between one call
// and another (recurrence_structure.cc).
Verdict check_recurrence(const Recurrence& recurrence, const Kernel& kernel, std::uint64_t seed);

void check_against_reference(const Recurrence& recurrence, const Kernel& kernel, std::uint64_t seed,
                             Verdict& verdict);
void check_structure(const Recurrence& recurrence, const Kernel& kernel, std::uint64_t seed,
                     Verdict& verdict);

}  // namespace mdnlab::check
