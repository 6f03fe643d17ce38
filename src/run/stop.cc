#include "run/stop.h"

#include <csignal>

namespace mdnlab {

namespace {

volatile std::sig_atomic_t requested = 0;

}  // namespace

void listen_for_stop() {
  struct sigaction action {};
  action.sa_handler = [](int) { requested = 1; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void request_stop() { requested = 1; }
bool stop_requested() { return requested != 0; }

}  // namespace mdnlab
