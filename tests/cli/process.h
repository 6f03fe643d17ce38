// Programs as a test runs them: started in a folder and an environment of their own, watched, signalled,
// ended.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace mdnlab {

struct ProcessOptions {
  std::filesystem::path folder;  // working directory; the test's own when empty
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours; MDNLAB_DB and
                                                                 // MDNLAB_PLUGIN_PATH of ours are left out
  std::chrono::seconds timeout{60};  // then the process is killed and the test fails
};

struct Finished {
  int code = 0;  // exit code, or −signal
  std::string out, err;
};

// A running program. Its stdin is empty. It leads a process group of its own, so that nothing it starts
// outlives it.
class Process {
 public:
  // words[0] is a path, or a name that PATH finds. std::runtime_error when it cannot be started.
  explicit Process(const std::vector<std::string>& words, const ProcessOptions& options = {});
  ~Process();  // kills the whole group
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool is_running();
  std::string out() const;  // what it has written so far
  std::string err() const;

  void signal(int number);        // the program alone
  void signal_group(int number);  // everything it started too, as Ctrl-C on a terminal does
  Finished wait();                // until it has ended; call as often as you like

 private:
  bool reap();

  std::chrono::seconds timeout_;
  int out_ = -1, err_ = -1;
  pid_t pid_ = -1;
  bool ended_ = false;
  int code_ = 0;
};

Finished run(const std::vector<std::string>& words, const ProcessOptions& options = {});

// The program of this build with these words after its name.
std::vector<std::string> mdnlab_words(std::vector<std::string> words);
Finished run_mdnlab(const std::vector<std::string>& words, const ProcessOptions& options = {});

std::filesystem::path source_folder();  // of the project
std::filesystem::path build_folder();

}  // namespace mdnlab
