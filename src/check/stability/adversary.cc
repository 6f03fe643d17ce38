#include "check/stability/adversary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "check/stability/plane.h"
#include "check/stability/search.h"

namespace mdnlab::stability {

namespace {

constexpr double whole_turn = 2 * std::numbers::pi;
constexpr std::uint64_t attempts = 4;  // a period; the first one starts from constant gates
constexpr double earned = 1e-6;        // what a longer period has to add
constexpr int directions = 16;         // of S_0, over half a turn

std::array<double, 2> unit_key(double angle) { return {std::cos(angle), std::sin(angle)}; }

// How a period lies in a point of the cube: the variables of the head; for each token its other variables,
// the second channel's decay where channels are apart, and its key's angle. Where they are not, the first
// key is at 0, so that its place holds the turn.
class Layout {
 public:
  Layout(const GateSet& set, int period, bool apart)
      : set_(set), period_(static_cast<std::size_t>(period)), apart_(apart) {
    for (std::size_t i = 0; i < set.variables.size(); ++i)
      (set.variables[i].per_head ? head_ : token_).push_back(i);
    if (apart_) decay_ = set.index("decay");
  }

  std::size_t dimensions() const { return head_.size() + period_ * width(); }

  Attack attack(const Point& point) const {
    Attack attack{.channels_apart = apart_};
    std::vector<double> values(set_.variables.size());
    const double* unit = point.data();
    for (const std::size_t i : head_) values[i] = set_.value(i, *unit++);
    for (std::size_t t = 0; t < period_; ++t) {
      for (const std::size_t i : token_) values[i] = set_.value(i, *unit++);
      const Gate gate = set_.gate(values);
      Token<2> token = same_in_every_channel<2>(gate, {1, 0});
      if (apart_) {
        values[decay_] = set_.value(decay_, *unit++);
        const Gate second = set_.gate(values);
        token.alpha[1] = second.alpha;
        token.mu[1] = second.mu;
      }
      const double angle = whole_turn * *unit++;
      if (t > 0 || apart_)
        token.key = unit_key(angle);
      else
        attack.turn = angle;
      attack.gates.push_back(gate);
      attack.period.push_back(token);
    }
    return attack;
  }

  // Constant gates under a turning key, as this period.
  Point point(const Constant& constant) const {
    Point point;
    const auto put = [&](std::size_t i) {
      const Variable& v = set_.variables[i];
      point.push_back(v.high > v.low ? (constant.values[i] - v.low) / (v.high - v.low) : 0);
    };
    const auto put_angle = [&](std::size_t turns) {
      const double turn = static_cast<double>(turns) * constant.turning.angle / whole_turn;
      point.push_back(turn - std::floor(turn));
    };
    for (const std::size_t i : head_) put(i);
    for (std::size_t t = 0; t < period_; ++t) {
      for (const std::size_t i : token_) put(i);
      if (apart_) put(decay_);
      put_angle(t == 0 && !apart_ ? period_ : t);
    }
    return point;
  }

 private:
  std::size_t width() const { return token_.size() + (apart_ ? 2 : 1); }

  const GateSet& set_;
  std::size_t period_;
  bool apart_;
  std::vector<std::size_t> head_, token_;
  std::size_t decay_ = 0;
};

Matrix period_matrix(const Attack& attack) {
  Matrix matrix = identity;
  for (const Token<2>& token : attack.period) matrix = product(step_matrix(token), matrix);
  return turned(matrix, attack.turn);
}

double length(const std::array<double, 2>& x) { return std::hypot(x[0], x[1]); }

std::vector<Moment> run(const Attack& attack, std::int64_t tokens, double direction, std::int64_t phase) {
  State<2> state{.s = unit_key(direction)};
  std::vector<Moment> moments;
  double log_scale = 0;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const Token<2> token = attack.token(t + phase);
    state = advance(state, token);
    moments.push_back({.token = t + 1,
                       .gate = attack.gates[static_cast<std::size_t>(t + phase) % attack.gates.size()],
                       .key_angle = std::atan2(token.key[1], token.key[0]),
                       .log_memory = log_scale + std::log(length(state.s)),
                       .log_velocity = log_scale + std::log(length(state.m))});
    const double size = std::max(length(state.s), length(state.m));
    if (size == 0) break;
    for (std::size_t i = 0; i < 2; ++i) state.s[i] /= size, state.m[i] /= size;
    log_scale += std::log(size);
  }
  return moments;
}

}  // namespace

Token<2> Attack::token(std::int64_t index) const {
  const auto count = std::ssize(period);
  Token<2> token = period[static_cast<std::size_t>(index % count)];
  const double angle = std::fmod(static_cast<double>(index / count) * turn, whole_turn);
  const auto [c, s] = unit_key(angle);
  token.key = {c * token.key[0] - s * token.key[1], s * token.key[0] + c * token.key[1]};
  return token;
}

Attack worst_attack(const GateSet& set, const Constant& start, int most_period, std::uint64_t seed) {
  Attack worst;
  const auto attack_with = [&](int period, bool apart) {
    const Layout layout(set, period, apart);
    const auto growth = [&](const Point& point) {
      return std::pow(growth_of(period_matrix(layout.attack(point))), 1.0 / period);
    };
    for (std::uint64_t attempt = 0; attempt < attempts; ++attempt) {
      Search search{.dimensions = layout.dimensions(), .seed = seed + attempt};
      if (attempt == 0) search.start = {layout.point(start)};
      const Best best = maximize(search, growth);
      if (best.value <= worst.growth * (1 + earned)) continue;
      worst = layout.attack(best.point);
      worst.growth = best.value;
    }
  };
  for (int period = 1; period <= most_period; ++period) {
    attack_with(period, false);
    if (set.is_channel_wise) attack_with(period, true);
  }
  return worst;
}

std::vector<Moment> trajectory(const Attack& attack, std::int64_t tokens) {
  std::vector<Moment> worst;
  const auto end = [](const std::vector<Moment>& moments) { return moments.back().log_memory; };
  for (std::int64_t phase = 0; phase < std::ssize(attack.period); ++phase) {
    for (int i = 0; i < directions; ++i) {
      std::vector<Moment> moments = run(attack, tokens, std::numbers::pi * i / directions, phase);
      const bool lasts_longer = moments.size() > worst.size(), as_long = moments.size() == worst.size();
      if (lasts_longer || (as_long && end(moments) > end(worst))) worst = std::move(moments);
    }
  }
  return worst;
}

}  // namespace mdnlab::stability
