#include "tests/support/naive_transformer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/support/half.h"

namespace longrope::testing {
namespace {

using Vector = std::vector<double>;

double At(const TensorView& w, int64_t row, int64_t col) {
  const std::byte* from = w.data + (row * w.cols + col) * SizeOf(w.dtype);
  if (w.dtype == DType::kF32) {
    float value;
    std::memcpy(&value, from, 4);
    return value;
  }
  if (w.dtype == DType::kF16) {
    uint16_t half;
    std::memcpy(&half, from, 2);
    return FloatOfHalf(half);
  }
  uint32_t bits = 0;  // bfloat16: the upper half of a float32
  std::memcpy(reinterpret_cast<char*>(&bits) + 2, from, 2);
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

Vector Times(const TensorView& w, const Vector& x) {
  Vector y(static_cast<size_t>(w.rows), 0.0);
  for (int64_t r = 0; r < w.rows; ++r) {
    for (int64_t c = 0; c < w.cols; ++c)
      y[static_cast<size_t>(r)] += At(w, r, c) * x[static_cast<size_t>(c)];
  }
  return y;
}

Vector Norm(const TensorView& weight, const Vector& x, double epsilon) {
  double squares = 0;
  for (double v : x) squares += v * v;
  Vector y(x);
  for (size_t i = 0; i < y.size(); ++i) {
    y[i] *= At(weight, 0, static_cast<int64_t>(i)) /
            std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
  }
  return y;
}

// Rotates every head of x, which stands at position n.
void Rotate(Vector& x, int head_dim, int64_t n, const RopeFactors& f, double base) {
  for (size_t head = 0; head < x.size(); head += static_cast<size_t>(head_dim)) {
    for (int i = 0; i < head_dim / 2; ++i) {
      double angle = static_cast<double>(n) * std::pow(base, -2.0 * i / head_dim);
      if (n >= f.start_tokens) angle /= f.lambda[static_cast<size_t>(i)];
      double &a = x[head + static_cast<size_t>(i)],
             &b = x[head + static_cast<size_t>(i + head_dim / 2)];
      const double c = std::cos(angle) * f.attention_factor,
                   s = std::sin(angle) * f.attention_factor;
      const double rotated = a * c - b * s;
      b = b * c + a * s;
      a = rotated;
    }
  }
}

// softmax(q k / sqrt(d)) v of one head for the query at n.
void Attend(const ModelShape& s, int head, size_t n, const std::vector<Vector>& q,
            const std::vector<Vector>& k, const std::vector<Vector>& v, Vector* out) {
  const auto d = static_cast<size_t>(s.head_dim), h = static_cast<size_t>(head) * d;
  const size_t kv = static_cast<size_t>(head / (s.heads / s.kv_heads)) * d;
  const auto window = static_cast<size_t>(s.sliding_window);
  const size_t first = window > 0 && n + 1 > window ? n + 1 - window : 0;
  Vector weight;
  double highest = -INFINITY, total = 0;
  for (size_t j = first; j <= n; ++j) {
    double score = 0;
    for (size_t i = 0; i < d; ++i) score += q[n][h + i] * k[j][kv + i];
    weight.push_back(score / std::sqrt(s.head_dim));
    highest = std::max(highest, weight.back());
  }
  for (double& w : weight) total += w = std::exp(w - highest);
  for (size_t j = first; j <= n; ++j) {
    for (size_t i = 0; i < d; ++i) (*out)[h + i] += weight[j - first] / total * v[j][kv + i];
  }
}

void Layer(const ModelShape& s, const WeightSource& w, int layer, const RopeFactors& f, double base,
           std::vector<Vector>* x) {
  std::vector<Vector> q, k, v;
  for (size_t n = 0; n < x->size(); ++n) {
    const Vector normed = Norm(w.Get(WeightRole::kInputNorm, layer), (*x)[n], s.norm_epsilon);
    q.push_back(Times(w.Get(WeightRole::kQuery, layer), normed));
    k.push_back(Times(w.Get(WeightRole::kKey, layer), normed));
    v.push_back(Times(w.Get(WeightRole::kValue, layer), normed));
    Rotate(q[n], s.head_dim, static_cast<int64_t>(n), f, base);
    Rotate(k[n], s.head_dim, static_cast<int64_t>(n), f, base);
  }
  for (size_t n = 0; n < x->size(); ++n) {
    Vector attended(q[n].size(), 0.0);
    for (int head = 0; head < s.heads; ++head) Attend(s, head, n, q, k, v, &attended);
    const Vector out = Times(w.Get(WeightRole::kOutput, layer), attended);
    for (size_t i = 0; i < out.size(); ++i) (*x)[n][i] += out[i];
    const Vector normed = Norm(w.Get(WeightRole::kFfnNorm, layer), (*x)[n], s.norm_epsilon);
    Vector gate = Times(w.Get(WeightRole::kGate, layer), normed);
    const Vector up = Times(w.Get(WeightRole::kUp, layer), normed);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
    const Vector down = Times(w.Get(WeightRole::kDown, layer), gate);
    for (size_t i = 0; i < down.size(); ++i) (*x)[n][i] += down[i];
  }
}

}  // namespace

NaiveScores NaiveScoresOf(const ModelShape& s, const WeightSource& w,
                          std::span<const int32_t> tokens, const RopeFactors& factors,
                          double base) {
  const TensorView embedding = w.Get(WeightRole::kEmbedding, 0);
  std::vector<Vector> x;
  for (int32_t token : tokens.first(tokens.size() - 1)) {
    x.emplace_back();
    for (int i = 0; i < s.hidden; ++i) x.back().push_back(At(embedding, token, i));
  }
  for (int layer = 0; layer < s.layers; ++layer) Layer(s, w, layer, factors, base, &x);
  NaiveScores scores;
  for (size_t n = 0; n < x.size(); ++n) {
    const Vector logits = Times(w.Get(WeightRole::kHead, 0),
                                Norm(w.Get(WeightRole::kFinalNorm, 0), x[n], s.norm_epsilon));
    double highest = -INFINITY, total = 0;
    for (double logit : logits) highest = std::max(highest, logit);
    for (double logit : logits) total += std::exp(logit - highest);
    const auto target = static_cast<size_t>(tokens[n + 1]);
    scores.nats.push_back(highest + std::log(total) - logits[target]);
    const bool finite =
        std::ranges::all_of(logits, [](double logit) { return std::isfinite(logit); });
    const auto first = std::ranges::max_element(logits) - logits.begin();
    scores.likeliest.push_back(finite ? static_cast<int32_t>(first) : -1);
  }
  return scores;
}

std::vector<double> NaiveNats(const ModelShape& s, const WeightSource& w,
                              std::span<const int32_t> tokens, const RopeFactors& factors,
                              double base) {
  return NaiveScoresOf(s, w, tokens, factors, base).nats;
}

}  // namespace longrope::testing
