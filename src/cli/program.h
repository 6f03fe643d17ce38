// The program: one of these commands, or their overview.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "cli/command.h"

namespace mdnlab {

// Runs the command that the first of `words` names; `--help`, or nothing, is the overview. Code::usage for
// any other.
int dispatch(std::span<const Command* const> commands, std::span<const std::string> words);

// body()'s exit code, or that of what it throws, with a line on stderr.
int guarded(const std::function<int()>& body);

}  // namespace mdnlab
