// How long a piece of work takes on a device.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <vector>

namespace mdnlab {

struct Timing {
  double median_ms = 0;
  double spread_ms = 0;  // between the quartiles
};

// Runs `work` twice untimed, then `repeats` times (at least 5). On the CPU by the steady clock; on a GPU by a
// pair of events around each run on the current stream, after 256 MiB were written, so that nothing of the
// last run is in its second-level cache.
Timing time_work(c10::Device device, int repeats, const std::function<void()>& work);

void wait_for(c10::Device device);  // until all that was queued there is done

}  // namespace mdnlab
