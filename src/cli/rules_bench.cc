#include "cli/rules_bench.h"

namespace mdnlab {
int rules_bench(std::span<const std::string>) { return 0; }
}  // namespace mdnlab
