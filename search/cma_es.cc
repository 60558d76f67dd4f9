#include "search/cma_es.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace longrope {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// The tutorial's table 1.
struct Rates {
  VectorXd weights;  // by rank, best first; positive for the better half, negative for the others
  int parents;       // positive weights
  double selection;  // mu_eff
  double c_sigma, d_sigma, c_c, c_1, c_mu;
  double expected_norm;  // of a standard normal vector

  Rates(int n, int batch);
};

// (sum of weights)^2 / sum of squares.
double EffectiveMass(const VectorXd& weights) {
  return weights.sum() * weights.sum() / weights.squaredNorm();
}

Rates::Rates(int dimension, int batch) : weights(batch), parents(batch / 2) {
  const double n = dimension;
  for (int i = 0; i < batch; ++i) weights[i] = std::log((batch + 1) / 2.0) - std::log(i + 1.0);
  const VectorXd better = weights.head(parents), worse = weights.tail(batch - parents);
  selection = EffectiveMass(better);
  c_c = (4 + selection / n) / (n + 4 + 2 * selection / n);
  c_sigma = (selection + 2) / (n + selection + 5);
  c_1 = 2 / ((n + 1.3) * (n + 1.3) + selection);
  c_mu = std::min(1 - c_1,
                  2 * (0.25 + selection + 1 / selection - 2) / ((n + 2) * (n + 2) + selection));
  d_sigma = 1 + 2 * std::max(0.0, std::sqrt((selection - 1) / (n + 1)) - 1) + c_sigma;
  expected_norm = std::sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
  const double negative = std::min({1 + c_1 / c_mu, 1 + 2 * EffectiveMass(worse) / (selection + 2),
                                    (1 - c_1 - c_mu) / (n * c_mu)});
  weights.head(parents) /= better.sum();
  weights.tail(batch - parents) *= negative / worse.cwiseAbs().sum();
}

}  // namespace

struct CmaEs::State {
  State(int dimension, int batch)
      : n(dimension),
        rates(dimension, batch),
        mean(VectorXd::Zero(dimension)),
        path_c(mean),
        path_sigma(mean),
        covariance(MatrixXd::Identity(dimension, dimension)),
        axes(covariance),
        lengths(VectorXd::Ones(dimension)) {}

  // C^(-1/2) y.
  VectorXd Whitened(const VectorXd& y) const {
    return axes * (axes.transpose() * y).cwiseQuotient(lengths);
  }

  void Decompose() {
    covariance = (covariance + covariance.transpose()).eval() / 2;
    const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(covariance);
    axes = solver.eigenvectors();
    lengths = solver.eigenvalues().cwiseMax(1e-30).cwiseSqrt();
  }

  void AdaptCovariance(const std::vector<int>& best_first, bool hold) {
    const double c_1 = rates.c_1, c_mu = rates.c_mu, c_c = rates.c_c;
    const double kept = hold ? c_1 * c_c * (2 - c_c) : 0;  // for what the held path lacks
    MatrixXd next = (1 + kept - c_1 - c_mu * rates.weights.sum()) * covariance +
                    c_1 * path_c * path_c.transpose();
    for (int rank = 0; rank < rates.weights.size(); ++rank) {
      const VectorXd& y = steps[static_cast<size_t>(best_first[static_cast<size_t>(rank)])];
      double weight = rates.weights[rank];
      if (weight < 0) weight *= n / std::max(Whitened(y).squaredNorm(), 1e-300);
      next += c_mu * weight * y * y.transpose();
    }
    covariance = std::move(next);
  }

  int n;
  Rates rates;
  double sigma = 1;
  int generation = 0;
  VectorXd mean, path_c, path_sigma;
  MatrixXd covariance, axes;
  VectorXd lengths;             // of the axes: square roots of the eigenvalues
  std::vector<VectorXd> steps;  // of the points asked for: (x - mean) / sigma
};

CmaEs::CmaEs(int dimension, int batch) {
  if (dimension < 1 || batch < 4) throw std::invalid_argument("CMA-ES needs a batch of at least 4");
  state_ = std::make_unique<State>(dimension, batch);
}
CmaEs::CmaEs(CmaEs&&) noexcept = default;
CmaEs& CmaEs::operator=(CmaEs&&) noexcept = default;
CmaEs::~CmaEs() = default;

int CmaEs::DefaultBatch(int dimension) {
  return 4 + static_cast<int>(std::floor(3 * std::log(dimension)));
}

std::vector<std::vector<double>> CmaEs::Ask(Rng& rng) {
  State& s = *state_;
  s.steps.clear();
  std::vector<std::vector<double>> points;
  for (int i = 0; i < s.rates.weights.size(); ++i) {
    VectorXd normal(s.n);
    for (double& value : normal) value = rng.Normal();
    s.steps.push_back(s.axes * s.lengths.cwiseProduct(normal));
    const VectorXd x = s.mean + s.sigma * s.steps.back();
    points.emplace_back(x.begin(), x.end());
  }
  return points;
}

void CmaEs::Tell(const std::vector<int>& best_first) {
  State& s = *state_;
  if (best_first.size() != s.steps.size()) throw std::invalid_argument("a rank for every point");
  VectorXd step = VectorXd::Zero(s.n);
  for (int rank = 0; rank < s.rates.parents; ++rank) {
    step +=
        s.rates.weights[rank] * s.steps[static_cast<size_t>(best_first[static_cast<size_t>(rank)])];
  }
  s.mean += s.sigma * step;
  ++s.generation;
  const Rates& r = s.rates;
  s.path_sigma = (1 - r.c_sigma) * s.path_sigma +
                 std::sqrt(r.c_sigma * (2 - r.c_sigma) * r.selection) * s.Whitened(step);
  const double norm = s.path_sigma.norm();
  const double expected = std::sqrt(1 - std::pow(1 - r.c_sigma, 2 * s.generation));
  const bool hold = norm / expected >= (1.4 + 2.0 / (s.n + 1)) * r.expected_norm;
  s.path_c *= 1 - r.c_c;
  if (!hold) s.path_c += std::sqrt(r.c_c * (2 - r.c_c) * r.selection) * step;
  s.AdaptCovariance(best_first, hold);
  s.sigma *= std::exp(r.c_sigma / r.d_sigma * (norm / r.expected_norm - 1));
  s.Decompose();
}

double CmaEs::Spread() const { return state_->sigma * state_->lengths.maxCoeff(); }

}  // namespace longrope
