// A rule whose factory throws what its option says.
#include <array>
#include <stdexcept>

#include "rule/abi.h"

namespace {

using namespace mdnlab;

constexpr std::array fields{Field{.name = "with",
                                  .type = Type::text,
                                  .preset = "exception",
                                  .doc = "what is thrown",
                                  .choices = "exception|usage|unknown"}};

std::unique_ptr<Rule> create(const Params& options, const LayerShape&) {
  const std::string& with = options.text("with");
  if (with == "usage") throw options.error("with", "the rule refuses this option", "another");
  if (with == "unknown") throw 5;
  throw std::runtime_error("the factory broke");
}

}  // namespace

MDNLAB_PLUGIN(create, fields, .name = "throwing", .rule_version = 1, .summary = "throws", .capabilities = {});
