#include "scan/with_backward.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace mdnlab {

namespace {

using torch::autograd::AutogradContext;

// What the node keeps beside tensors.
struct Work final : torch::CustomClassHolder {
  std::function<Tensors(const BackwardPass&)> backward;
  std::vector<bool> is_given;  // defined; autograd sees no others
  std::shared_ptr<const Recipes> recipes;
};

class Node : public torch::autograd::Function<Node> {
 public:
  static Tensors forward(AutogradContext* context, at::TensorList /*given*/,
                         const std::function<Tensors(Tensors&)>& forward,
                         const c10::intrusive_ptr<Work>& work, NoAdjoint no_adjoint) {
    context->set_materialize_grads(no_adjoint == NoAdjoint::zeros);
    Tensors kept;
    Tensors results = forward(kept);
    work->recipes = take_recipes(kept);
    context->save_for_backward(std::move(kept));
    context->saved_data["work"] = c10::IValue::make_capsule(work);
    return results;
  }

  static Tensors backward(AutogradContext* context, Tensors adjoints) {
    const auto work = c10::static_intrusive_pointer_cast<Work>(context->saved_data["work"].toCapsule());
    BackwardPass pass{.kept = context->get_saved_variables(),
                      .adjoints = std::move(adjoints),
                      .comes_again = torch::autograd::get_current_graph_task_keep_graph()};
    std::size_t seen = 0;
    for (const bool is_given : work->is_given)
      pass.wanted.push_back(is_given && context->needs_input_grad(seen++));
    if (work->recipes) follow(*work->recipes, pass.kept);
    // As LibTorch lets go of what it saved: the node itself lasts until the backward pass has ended.
    if (!pass.comes_again) work->recipes.reset();
    const Tensors all = work->backward(pass);
    Tensors gradients;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (work->is_given[i]) gradients.push_back(all[i]);
    }
    gradients.resize(seen + 3);  // what is no tensor has none
    return gradients;
  }
};

}  // namespace

Tensors with_backward(const Tensors& given, const std::function<Tensors(Tensors&)>& forward,
                      std::function<Tensors(const BackwardPass&)> backward, NoAdjoint no_adjoint) {
  const auto work = c10::make_intrusive<Work>();
  work->backward = std::move(backward);
  Tensors defined;
  for (const at::Tensor& x : given) {
    work->is_given.push_back(x.defined());
    if (x.defined()) defined.push_back(x);
  }
  return Node::apply(at::TensorList(defined), forward, work, no_adjoint);
}

}  // namespace mdnlab
