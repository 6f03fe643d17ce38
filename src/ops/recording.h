// What a GPU is to do, queued once and then repeated whole: its hundreds of launches cost the host nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

namespace mdnlab::ops {

class Recording {
 public:
  virtual ~Recording();
  // Queues it all on the device's current stream.
  virtual void play() = 0;
};

// Calls `work`, whose launches on `device` are recorded and not run, its backward passes among them. Memory
// stays where it was at the recording: what `work` read is read again at each play, as it is then, and a
// tensor that it left holds what the last play left. So `work` must do the same whatever the numbers are, and
// not wait for the device; where it does, this throws what LibTorch throws, and nothing was run. Waits for
// the device and gives its unused memory back before.
//
// Null on the CPU, and on a GPU without our CUDA module.
std::unique_ptr<Recording> record(at::Device device, const std::function<void()>& work);

}  // namespace mdnlab::ops
