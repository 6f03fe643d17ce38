// The recurrence level of the suite: an implementation of scan/chunk.h's contract against the float64
// recurrence, token by token and under plain autograd, on inputs that are drawn here. What is checked depends
// on what the rule's recurrence has, not on its gates.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

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

// What is under test, called with tensors of its device; the tests of the suite put broken ones here.
struct Kernel {
  std::function<scan::Outputs(const scan::Inputs&, const scan::Options&)> chunk = scan::chunk;
  std::function<scan::Outputs(const scan::Inputs&)> step = [](const scan::Inputs& in) {
    return scan::step(in);
  };
  // Empty: it takes such inputs; else why not. Look at shapes and dtypes alone.
  using Refusal = std::function<std::string(const scan::Inputs&)>;
  Refusal refusal_of_chunk = [](const scan::Inputs&) { return std::string(); };
  Refusal refusal_of_step = [](const scan::Inputs&) { return std::string(); };
  std::vector<at::ScalarType> dtypes = {at::kDouble, at::kFloat, at::kBFloat16};
  c10::Device device = c10::kCPU;  // where it runs
  std::string name = {};           // of scan/implementation.h; empty: the usual choice
};

// The named implementation on a device. With float16 beside the other dtypes on a GPU.
Kernel kernel_on(c10::Device device, const std::string& implementation);

// Every case of both files: against the reference (recurrence_cases.cc), and what must hold between one call
// and another (recurrence_structure.cc). Where the kernel refuses a case's widths, K and V are the first of
// (64, 64), (128, 64), (256, 64) that it takes; dtypes that it takes in none of them are left out, with its
// reason (Verdict::left_out).
Verdict check_recurrence(const Recurrence& recurrence, const Kernel& kernel, std::uint64_t seed);

void check_against_reference(const Recurrence& recurrence, const Kernel& kernel, std::uint64_t seed,
                             Verdict& verdict);
void check_structure(const Recurrence& recurrence, const Kernel& kernel, std::uint64_t seed,
                     Verdict& verdict);

}  // namespace mdnlab::check
