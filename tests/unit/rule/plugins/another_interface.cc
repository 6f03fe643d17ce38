// A module of a later interface: nothing but its version may be read.
#include <cstdint>

extern "C" struct Head {
  std::uint32_t interface_version;
  const char* build_stamp;
};

extern "C" __attribute__((visibility("default"))) constexpr Head mdnlab_plugin = {99, nullptr};
