#pragma once

#include <functional>
#include <vector>

namespace mdnlab::scan {

// Calls each with a stream of its own as the current one, the first with the one that is current now: after
// what is on that one already, and before what comes onto it later.
void side_by_side(const std::vector<std::function<void()>>& work);

// Whether what comes onto the current stream is recorded, not run (ops/recording.h).
bool is_stream_recording();

}  // namespace mdnlab::scan
