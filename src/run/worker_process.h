// A worker process as its parent sees it: spawned, read line by line, reaped.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace mdnlab {

class WorkerProcess {
 public:
  // Starts this program again with `words`; its stdout comes here, its stderr stays ours, its stdin is empty.
  // `variables` ("NAME=value") replace ours of their names. A failure is Code::machine.
  explicit WorkerProcess(const std::vector<std::string>& words,
                         const std::vector<std::string>& variables = {});
  WorkerProcess(WorkerProcess&& other) noexcept;
  WorkerProcess& operator=(WorkerProcess&&) = delete;
  ~WorkerProcess();  // a worker that still lives is told to stop (SIGTERM) and waited for

  int output() const { return output_; }  // for poll(); becomes readable at the end, too

  // Whole lines that have arrived. Call when output() is readable.
  std::vector<std::string> read_lines();
  bool has_ended() const { return ended_; }  // its output is closed

  void signal(int number) const;
  int wait();  // exit code, or −signal; reaps

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  bool ended_ = false;
  std::string partial_;
};

}  // namespace mdnlab
