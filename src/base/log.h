// Messages and progress on stderr; stdout is for results only.
#pragma once

#include <string_view>

namespace mdnlab {

void note(std::string_view message);     // "message"
void warn(std::string_view message);     // "warning: message"
void print(std::string_view text);       // stdout, unchanged; a closed pipe ends the program quietly

bool stderr_is_terminal();
int terminal_columns();                  // of stderr; 80 when unknown

// One line that is rewritten in place on a terminal; elsewhere each call is a plain line of its own.
// note() and warn() clear it first and leave it to be drawn again.
void progress(std::string_view line);
void end_progress();                     // leaves the cursor at the start of an empty line

}  // namespace mdnlab
