// Ctrl-C and SIGTERM, heard and obeyed at the next good moment.
#pragma once

namespace mdnlab {

void listen_for_stop();  // from now on they are heard; before, they end the process
void request_stop();     // as if one had come
bool stop_requested();

}  // namespace mdnlab
