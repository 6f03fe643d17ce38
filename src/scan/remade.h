// Tensors that the backward pass makes again instead of keeping: activations that cost little to make and
// much to hold. What makes such a tensor says how; a function of ours that keeps it for its own backward pass
// keeps that instead. LibTorch's own functions keep the tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace torch::autograd {
struct AutogradContext;
}

namespace mdnlab {

// While one lasts, operations of this thread say how their results are made (remakes()).
class Remaking {
 public:
  explicit Remaking(bool on);
  ~Remaking();
  Remaking(const Remaking&) = delete;
  Remaking& operator=(const Remaking&) = delete;

 private:
  bool before_;
};
bool remakes();

// `make` gives all of `made` again, in their order, bit for bit, at any time: from what it holds itself,
// without gradients. It is called once for all who keep one of them, where they ask one after another.
void remake(std::vector<at::Tensor> made, std::function<std::vector<at::Tensor>()> make);

// x.view(sizes), made again as x is, where it is.
at::Tensor remade_view(const at::Tensor& x, at::IntArrayRef sizes);

// As context->save_for_backward(list) and get_saved_variables(), but for what can be made again.
void save_or_remake(torch::autograd::AutogradContext* context, std::vector<at::Tensor> list);
std::vector<at::Tensor> saved_or_remade(torch::autograd::AutogradContext* context);

}  // namespace mdnlab
