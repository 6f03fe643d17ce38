// Tensors that the backward pass makes again instead of keeping: activations that cost little to make and
// much to hold. What makes such a tensor says how; a function of ours that keeps it for its own backward pass
// (with_backward.h) keeps that instead. LibTorch's own functions keep the tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

namespace mdnlab {

// What of a layer is made again.
struct Remakes {
  bool results = false;   // of operations that say by remake() how
  bool prepared = false;  // what a scan's kernels make of the chunks before they scan (implementation.h)
};

// While one lasts, for what this thread does.
class Remaking {
 public:
  explicit Remaking(Remakes what);
  ~Remaking();
  Remaking(const Remaking&) = delete;
  Remaking& operator=(const Remaking&) = delete;

 private:
  Remakes before_;
};

// Of the last one; nothing where autograd does not record, so also within the forward function of a node.
Remakes remakes();

using Tensors = std::vector<at::Tensor>;

// `make`, given `from`, gives `made` again, in their order and bit for bit, without gradients. It is called
// once for all who keep one of them, where they ask one after another. Of `from`, what can be made again is
// not kept either. Undefined tensors are allowed in both.
void remake(const Tensors& made, const Tensors& from, std::function<Tensors(const Tensors& from)> make);

// views(x), made again where x is; and x.reshape(sizes).
Tensors remade_views(const at::Tensor& x, const std::function<Tensors(const at::Tensor& x)>& views);
at::Tensor remade_reshape(const at::Tensor& x, at::IntArrayRef sizes);

// How tensors taken out of a list are made again.
class Recipes;

// Leaves undefined in `list` what can be made again; null where nothing can. follow() puts it back.
std::shared_ptr<const Recipes> take_recipes(Tensors& list);
void follow(const Recipes& recipes, Tensors& list);

}  // namespace mdnlab
