#include "cli/plan_words.h"

#include "base/text.h"

namespace mdnlab {

void add_plan_words(Arguments& arguments) {
  arguments.list("only", "PATH=VALUE: runs whose resolved option has this value; one path ORed, several ANDed");
  arguments.option("shard", "I/N: every N-th run of the plan, from the I-th (0 ≤ I < N)", "0/1");
  arguments.option("device", "auto or cpu", "auto");
  arguments.add_plugins();
}

std::vector<PlannedRun> read_plan(const Arguments& arguments, const Plugins& plugins) {
  const std::string device = arguments.text("device");
  if (device.starts_with("cuda")) {
    throw Error(Code::machine, {.what = "this build trains on the CPU only", .found = "--device " + device, .expected = "auto or cpu"});
  }
  if (device != "auto" && device != "cpu") {
    throw Error(Code::usage, {.what = "unknown device", .found = quote(device), .expected = "auto or cpu"});
  }
  const std::vector<std::string> shard = split(arguments.text("shard"), '/');
  std::int64_t index = 0, count = 0;
  if (shard.size() != 2 || !parse_integer(shard[0], index) || !parse_integer(shard[1], count) || index < 0 || index >= count) {
    throw Error(Code::usage, {.what = "--shard is no part of a plan", .found = quote(arguments.text("shard")), .expected = "I/N with 0 ≤ I < N"});
  }
  std::vector<PlannedRun> plan = make_plan(arguments.text("FILE"), plugins);
  keep_shard(plan, index, count);
  keep_only(plan, arguments.texts("only"));
  return plan;
}

}  // namespace mdnlab
