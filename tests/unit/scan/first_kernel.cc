// MDNLAB_TEST_KERNEL=NAME: every test of this program that forces no implementation runs that one.
#include <cstdlib>

#include "cases.h"
#include "scan/implementation.h"

namespace mdnlab::scan {

namespace {

struct FirstKernel : testing::Environment {
  void SetUp() override {
    const char* name = std::getenv("MDNLAB_TEST_KERNEL");
    if (!name) return;
    Implementation first = choose(make_inputs({}), name);
    first.name += ", first";
    add_implementation(at::kCPU, first);
  }
};

const testing::Environment* const environment = testing::AddGlobalTestEnvironment(new FirstKernel);

}  // namespace

}  // namespace mdnlab::scan
