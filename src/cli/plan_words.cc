#include "cli/plan_words.h"

#include "base/text.h"

namespace mdnlab {

void add_plan_words(Arguments& arguments) {
  arguments.list("only PATH=VALUE",
                 "runs whose resolved option has this value; one path ORed, several ANDed");
  arguments.option("shard I/N", "every N-th run of the plan, from the I-th (0 ≤ I < N)", "0/1");
  arguments.add_device();
  arguments.add_plugins();
}

std::vector<PlannedRun> read_plan(const Arguments& arguments, const Plugins& plugins) {
  const c10::Device device = arguments.device();
  const std::vector<std::string> shard = split(arguments.text("shard"), '/');
  std::int64_t index = 0, count = 0;
  if (shard.size() != 2 || !parse_integer(shard[0], index) || !parse_integer(shard[1], count) || index < 0 ||
      index >= count) {
    throw Error(Code::usage, {.what = "--shard is no part of a plan",
                              .found = quote(arguments.text("shard")),
                              .expected = "I/N with 0 ≤ I < N"});
  }
  std::vector<PlannedRun> plan = make_plan(arguments.text("FILE"), plugins, device);
  // A filter may name what only other shards have; shards count by the whole plan, so the order changes
  // nothing else.
  keep_only(plan, arguments.texts("only"));
  keep_shard(plan, index, count);
  return plan;
}

}  // namespace mdnlab
