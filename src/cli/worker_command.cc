#include "cli/arguments.h"
#include "cli/command.h"
#include "run/execute.h"

namespace mdnlab {

namespace {

int run(std::span<const std::string> words) {
  Arguments arguments({.usage = "mdnlab worker --db FILE --key KEY --base FOLDER",
                       .about = "Runs one planned run. `mdnlab run` starts these.",
                       .examples = "  mdnlab worker --db mdnlab.db --key 0123… --base experiments\n"});
  arguments.option("key KEY", "of the run");
  arguments.option("base FOLDER", "the folder that relative paths start from");
  arguments.add_device(Device::cpu);
  arguments.add_database();
  arguments.add_plugins();
  if (!arguments.parse(words)) return 0;
  const c10::Device device = arguments.device();  // before anything else asks LibTorch for one
  return execute_run({.database = arguments.database(),
                      .key = arguments.text("key"),
                      .base = arguments.text("base"),
                      .device = device},
                     arguments.plugins());
}

}  // namespace

const Command worker_command{"worker", "run one planned run", run, true};

}  // namespace mdnlab
