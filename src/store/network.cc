#include "store/network.h"

#include <sys/vfs.h>

#include <system_error>

namespace mdnlab {

std::string network_file_system_name(std::uint32_t type) {
  switch (type) {
    case 0x00006969: return "NFS";
    case 0x0000517b: return "SMB";
    case 0xff534d42: return "CIFS";
    case 0xfe534d42: return "SMB2";
    case 0x0bd00bd0: return "Lustre";
    case 0x65735546: return "FUSE";
    case 0x47504653: return "GPFS";
    case 0x19830326: return "BeeGFS";
    case 0x01021997: return "9p";
    case 0x00c36400: return "Ceph";
    case 0x5346414f: return "AFS";
    case 0x6b414653: return "AFS";
    case 0x73757245: return "Coda";
    case 0x0000564c: return "NCP";
    case 0x7461636f: return "OCFS2";
    case 0x01161970: return "GFS2";
    case 0xaad7aaea: return "PanFS";
    case 0x20030528: return "OrangeFS";
    case 0x786f4256: return "VirtualBox shared folder";
    case 0xbacbacbc: return "VMware shared folder";
    default: return "";
  }
}

std::string network_file_system(const std::filesystem::path& file) {
  std::error_code ignored;
  // The log lies beside the file itself, not beside a link to it.
  const auto target = std::filesystem::weakly_canonical(file, ignored);
  struct statfs facts = {};
  if (statfs(target.c_str(), &facts) != 0 && statfs(target.parent_path().c_str(), &facts) != 0) return "";
  return network_file_system_name(static_cast<std::uint32_t>(facts.f_type));
}

}  // namespace mdnlab
