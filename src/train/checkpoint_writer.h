// Checkpoints written while the training goes on.
#pragma once

#include <filesystem>
#include <future>

#include "train/checkpoint.h"

namespace mdnlab {

// write() copies the tensors to the host and returns; a thread of its own hashes, writes and syncs the copy
// (save_checkpoint). From a GPU the copies go through pinned memory on the current stream, behind the step
// that made the values and before the one that changes them: nothing waits for the device. The copies' memory
// is kept for the next checkpoint.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(std::filesystem::path run_folder);
  ~CheckpointWriter();  // waits; a failure that nobody asked for is lost
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Waits first for the one before, as one process at a time may write there. The tensors may change at once.
  // These three throw what a write failed with, each failure once.
  void write(Checkpoint checkpoint);
  void look();  // does not wait
  void wait();

 private:
  std::filesystem::path run_folder_;
  TensorMap model_, optimizer_;  // on the host
  std::future<void> pending_;
};

}  // namespace mdnlab
