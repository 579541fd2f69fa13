// Draws a class from the softmax of logits, once, for every kernel: by inverting the cumulative sum, in double whatever
// the logits' type, so that two devices or precisions disagree only where a draw falls on the border of two classes.
#pragma once

#include <cstdint>

#include "cell.h"

namespace seqlight {

// The first class c with sum_{i <= c} p_i > uniform * sum_i p_i, where p_i = exp((logits_i - most) / temperature) are
// summed in the order of the classes; the last class where there is none (a NaN among the logits). Writes the p_i to
// `exponentials` [classes]; Math names the function exp.
template <typename Math, typename T>
SEQLIGHT_CELL int64_t draw_class(const T* logits, int64_t classes, double temperature, double uniform,
                                 double* exponentials) {
  double most = logits[0];
  for (int64_t i = 1; i < classes; ++i) most = logits[i] > most ? logits[i] : most;
  double total = 0;
  for (int64_t i = 0; i < classes; ++i) {
    exponentials[i] = Math::exp((logits[i] - most) / temperature);
    total += exponentials[i];
  }
  const double threshold = uniform * total;
  double sum = 0;
  for (int64_t i = 0; i < classes; ++i) {
    sum += exponentials[i];
    if (sum > threshold) return i;
  }
  return classes - 1;
}

}  // namespace seqlight
