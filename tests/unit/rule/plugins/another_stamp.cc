// The two fields that the loader may read of any module, with the stamp of another build.
#include <cstdint>

extern "C" struct Head {
  std::uint32_t interface_version;
  const char* build_stamp;
};

extern "C" __attribute__((visibility("default"))) constexpr Head mdnlab_plugin = {
    6, "mdnlab interface 6, libtorch 1.13.0"};
