// Draws a class from the softmax of logits, once, for every kernel: by inverting the cumulative sum, in double whatever
// the logits' type, so that two devices or precisions disagree only where a draw falls on the border of two classes.
#pragma once

#include <cstdint>

#include "cell.h"

namespace seqlight {

template <typename T>
SEQLIGHT_CELL double largest_logit(const T* logits, int64_t classes) {
  double most = logits[0];
  for (int64_t i = 1; i < classes; ++i) most = logits[i] > most ? logits[i] : most;
  return most;
}

// What a class counts for beside the most probable one; Math names the function exp.
template <typename Math>
SEQLIGHT_CELL double class_weight(double logit, double most, double temperature) {
  return Math::exp((logit - most) / temperature);
}

// The first class c with sum_{i <= c} p_i > uniform * sum_i p_i, where the weights p_i are summed in the order of the
// classes; the last class where there is none (a NaN among them).
SEQLIGHT_CELL int64_t draw_class(const double* weights, int64_t classes, double uniform) {
  double total = 0;
  for (int64_t i = 0; i < classes; ++i) total += weights[i];
  const double threshold = uniform * total;
  double sum = 0;
  for (int64_t i = 0; i < classes; ++i) {
    sum += weights[i];
    if (sum > threshold) return i;
  }
  return classes - 1;
}

}  // namespace seqlight
