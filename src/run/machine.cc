#include "run/machine.h"

#include <sys/utsname.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "base/gpu.h"
#include "base/text.h"
#include "run/version.h"

namespace mdnlab {

namespace {

// The value after `key` and a separator in a file of lines, without quotes; "" when there is none.
std::string line_value(const char* file, const std::string& key, char separator) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    const std::size_t at = line.find(separator);
    if (at == std::string::npos || trim(line.substr(0, at)) != key) continue;
    std::string value = trim(line.substr(at + 1));
    if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
    return value;
  }
  return {};
}

}  // namespace

MachineFacts machine_facts() {
  utsname system{};
  uname(&system);
  const std::string distribution = line_value("/etc/os-release", "PRETTY_NAME", '=');
  const std::vector<Gpu>& gpus = gpu_facts().gpus;
  return {.host = system.nodename,
          .system = (distribution.empty() ? system.sysname : distribution) + ", " + system.release,
          .cpu = line_value("/proc/cpuinfo", "model name", ':'),
          .cpu_cores = sysconf(_SC_NPROCESSORS_ONLN),
          .memory_mib = sysconf(_SC_PHYS_PAGES) / 1024 * (sysconf(_SC_PAGESIZE) / 1024),
          .gpu = gpus.empty() ? "" : gpus[0].name,
          .gpu_count = gpus.empty() ? 0 : std::max<std::int64_t>(std::ssize(gpus), gpu_facts().installed),
          .gpu_memory_mib = gpus.empty() ? 0 : gpus[0].memory_mib,
          .driver = gpu_facts().driver};
}

BuildFacts build_facts() {
  return {.version = MDNLAB_VERSION,
          .git_commit = MDNLAB_GIT_COMMIT,
          .libtorch = TORCH_VERSION,
          .compiler = "g++ " __VERSION__};
}

}  // namespace mdnlab
