#include "store/worker.h"

#include <unistd.h>

#include <fstream>
#include <sstream>

namespace mdnlab {
namespace {

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

// Field 22 of /proc/PID/stat; 0 when there is no such process, or only its exit status is left of it.
std::int64_t start_of(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return 0;
  // The second field, the program's name, may hold blanks and parentheses itself.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string state, skipped;
  fields >> state;
  if (state == "Z" || state == "X") return 0;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  std::int64_t start = 0;
  fields >> start;
  return start;
}

}  // namespace

Worker this_worker() { return {.host = host_name(), .pid = getpid(), .start = start_of(getpid())}; }

Life life_of(const Worker& worker) {
  if (worker.host != host_name()) return Life::unknown;
  return worker.start != 0 && start_of(worker.pid) == worker.start ? Life::alive : Life::gone;
}

}  // namespace mdnlab
