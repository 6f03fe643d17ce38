#include "scan/remade.h"

#include <ATen/core/grad_mode.h>

#include <utility>

namespace mdnlab {

namespace {

thread_local Remakes now;

class Recipe;

// One of what a recipe makes; no recipe: the tensor is kept.
struct Made {
  c10::intrusive_ptr<Recipe> recipe;
  std::size_t index = 0;
};

// What a tensor carries that can be made again; it goes with the tensor, not with its memory.
struct Mark final : c10::BackendMeta {
  explicit Mark(Made of) : made(std::move(of)) {}
  Made made;
};

Made made_of(const at::Tensor& x) {
  const auto* mark =
      x.defined() ? dynamic_cast<const Mark*>(x.unsafeGetTensorImpl()->get_backend_meta()) : nullptr;
  return mark ? mark->made : Made{};
}

// Tensors to have again: each kept, or its recipe.
class Kept {
 public:
  explicit Kept(const Tensors& list);
  Tensors take() const;

 private:
  Tensors kept_;
  std::vector<Made> made_;
};

// Shared by all tensors of one remake() and by those who keep one.
class Recipe : public c10::intrusive_ptr_target {
 public:
  Recipe(const Tensors& from, std::function<Tensors(const Tensors&)> make)
      : from_(from), make_(std::move(make)) {}

  void add_keeper() { ++keepers_; }
  at::Tensor give(std::size_t index) {
    if (made_.empty()) {
      const at::NoGradGuard no_grad;
      made_ = make_(from_.take());
    }
    const at::Tensor one = made_[index];
    if (++asked_ == keepers_) {
      made_.clear();
      asked_ = 0;  // of another backward pass over the same graph
    }
    return one;
  }

 private:
  Kept from_;
  std::function<Tensors(const Tensors&)> make_;
  Tensors made_;  // until the last keeper has had it
  int keepers_ = 0, asked_ = 0;
};

Kept::Kept(const Tensors& list) {
  for (const at::Tensor& x : list) {
    made_.push_back(made_of(x));
    if (made_.back().recipe) made_.back().recipe->add_keeper();
    kept_.push_back(x.defined() && !made_.back().recipe ? x.detach() : at::Tensor());
  }
}

Tensors Kept::take() const {
  Tensors list = kept_;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (made_[i].recipe) list[i] = made_[i].recipe->give(made_[i].index);
  }
  return list;
}

}  // namespace

class Recipes {
 public:
  std::vector<Made> of;  // in the order of the list
};

Remaking::Remaking(Remakes what) : before_(std::exchange(now, what)) {}
Remaking::~Remaking() { now = before_; }
Remakes remakes() { return at::GradMode::is_enabled() ? now : Remakes{}; }

void remake(const Tensors& made, const Tensors& from, std::function<Tensors(const Tensors&)> make) {
  const auto recipe = c10::make_intrusive<Recipe>(from, std::move(make));
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (made[i].defined())
      made[i].unsafeGetTensorImpl()->set_backend_meta(c10::make_intrusive<Mark>(Made{recipe, i}));
  }
}

Tensors remade_views(const at::Tensor& x, const std::function<Tensors(const at::Tensor&)>& views) {
  const Tensors made = views(x);
  if (made_of(x).recipe) remake(made, {x}, [views](const Tensors& from) { return views(from[0]); });
  return made;
}

at::Tensor remade_reshape(const at::Tensor& x, at::IntArrayRef sizes) {
  return remade_views(x,
                      [sizes = sizes.vec()](const at::Tensor& of) { return Tensors{of.reshape(sizes)}; })[0];
}

std::shared_ptr<const Recipes> take_recipes(Tensors& list) {
  const auto recipes = std::make_shared<Recipes>();
  bool has_any = false;
  for (at::Tensor& x : list) {
    const Made& made = recipes->of.emplace_back(made_of(x));
    if (!made.recipe) continue;
    made.recipe->add_keeper();
    x = at::Tensor();
    has_any = true;
  }
  return has_any ? recipes : nullptr;
}

void follow(const Recipes& recipes, Tensors& list) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (const auto& [recipe, index] = recipes.of[i]; recipe) list[i] = recipe->give(index);
  }
}

}  // namespace mdnlab
