// A function of tensors with a backward pass of its own, as a node of the autograd graph. LibTorch's class
// for it is the dearest header there is to compile; with_backward.cc alone includes it.
#pragma once

#include <functional>
#include <vector>

#include "scan/remade.h"

namespace mdnlab {

struct BackwardPass {
  Tensors kept;              // what forward kept, in its order
  Tensors adjoints;          // of the results, in their order
  std::vector<bool> wanted;  // gradients that somebody asks for, in the order of what was given
  bool comes_again;          // the graph is kept for another pass
};

// Of a result that takes no part in the loss.
enum class NoAdjoint { zeros, undefined };

// forward(kept)'s results. It runs at once, without recording, and leaves in `kept` what the backward pass
// needs; of that, what can be made again (remade.h) is not held meanwhile. backward(pass) gives the gradients
// of `given` in its order, undefined where there is none. Both lists may have undefined tensors. `backward`
// itself must hold no tensor that the graph could not free after its pass.
Tensors with_backward(const Tensors& given, const std::function<Tensors(Tensors& kept)>& forward,
                      std::function<Tensors(const BackwardPass& pass)> backward,
                      NoAdjoint no_adjoint = NoAdjoint::zeros);

}  // namespace mdnlab
