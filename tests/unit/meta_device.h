// LibTorch's `meta` device has shapes and no memory: a tensor made on the CPU by default, a pointer that is
// followed or a value that is read fails there, as it would on a GPU.
#pragma once

namespace mdnlab {

// The scan runs there afterwards, as batched matrix products. Once in a program.
void prepare_meta_device();

}  // namespace mdnlab
