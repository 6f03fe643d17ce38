// The C entry of a plugin: one constant symbol, `mdnlab_plugin`, in a shared module.
//
// Life of a plugin: the loader opens the module (RTLD_NOW | RTLD_LOCAL), reads interface_version and
// build_stamp, refuses the module when either differs from its own, and only then reads the rest. Nothing is
// called while loading. `create` may be called any number of times, from any thread, and never throws: it
// returns null and fills `failure`. Modules are never closed.
#pragma once

#include <torch/version.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include "base/error.h"
#include "config/params.h"
#include "rule/rule.h"

#define MDNLAB_INTERFACE_VERSION 6

// C++ types cross the entry, so both sides must agree on the library, the compiler's ABI and the standard
// library's.
#define MDNLAB_STRING_(x) #x
#define MDNLAB_STRING(x) MDNLAB_STRING_(x)
#define MDNLAB_BUILD_STAMP                                  \
  "mdnlab interface " MDNLAB_STRING(                        \
      MDNLAB_INTERFACE_VERSION) ", libtorch " TORCH_VERSION \
                                ", c++ abi " MDNLAB_STRING( \
                                    __GXX_ABI_VERSION) ", cxx11 strings " MDNLAB_STRING(_GLIBCXX_USE_CXX11_ABI)

namespace mdnlab {

struct Capabilities {
  bool delta = false;
  bool momentum = false;
  const char* decay = "none";  // none | scalar | channel
  bool step = true;            // decodes token by token from its state
  bool constant_state = true;  // the state does not grow with the context
  bool scans = true;           // a recurrence, run by scan/; else attention
};

struct PluginFailure {
  Code code = Code::machine;
  ErrorText text;
};

extern "C" struct PluginInfo {
  std::uint32_t interface_version;
  const char* build_stamp;
  // Everything below is read only when both of the above agree.
  const char* name;
  std::uint32_t rule_version;  // raised whenever results change: it is part of every run's key
  const char* summary;         // one line
  Capabilities capabilities;
  const Field* options;  // the YAML options beside `name`
  std::size_t option_count;
  Rule* (*create)(const Params& options, const LayerShape& shape, PluginFailure& failure) noexcept;
};

// Wraps a factory std::unique_ptr<Rule>(const Params&, const LayerShape&) for the C entry.
template <auto factory>
Rule* create_guarded(const Params& options, const LayerShape& shape, PluginFailure& failure) noexcept {
  try {
    return factory(options, shape).release();
  } catch (const Error& error) {
    failure = {error.code(), error.text()};
  } catch (const std::exception& error) {
    failure = {Code::machine, {.what = error.what()}};
  } catch (...) {
    failure = {Code::machine, {.what = "an exception of unknown type"}};
  }
  return nullptr;
}

}  // namespace mdnlab

// MDNLAB_PLUGIN(factory, options, .name = "…", .rule_version = 1, .summary = "…", .capabilities = {…});
// `options` is a constexpr array of Field, possibly std::array<Field, 0>.
#define MDNLAB_PLUGIN(factory, fields, ...)                                                        \
  extern "C" __attribute__((visibility("default"))) constexpr mdnlab::PluginInfo mdnlab_plugin = { \
      .interface_version = MDNLAB_INTERFACE_VERSION,                                               \
      .build_stamp = MDNLAB_BUILD_STAMP,                                                           \
      __VA_ARGS__,                                                                                 \
      .options = std::data(fields),                                                                \
      .option_count = std::size(fields),                                                           \
      .create = &mdnlab::create_guarded<&factory>}
