// Experiments as a test writes and changes them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "../temporary_folder.h"
#include "run/planner.h"

namespace mdnlab {

inline const Plugins& plugins() {
  static const Plugins all;
  return all;
}

// A folder with a text and experiments that read it.
class Experiments {
 public:
  Experiments() { put("text.txt", text()); }

  static std::string text() {
    std::string content;
    for (int i = 0; i < 400; ++i) content += "line " + std::to_string(i * i) + "\n";
    return content;
  }

  std::filesystem::path put(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }

  std::vector<PlannedRun> plan(const std::string& yaml, const std::string& name = "experiment.yaml") const {
    return make_plan(put(name, yaml), plugins());
  }
  std::string key(const std::string& yaml) const { return plan(yaml).at(0).row.key; }

  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  TemporaryFolder folder_;
};

}  // namespace mdnlab
