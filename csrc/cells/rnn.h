// The simple recurrent cell, h = phi(s), and its derivative: phi is tanh or ReLU, s sums both products and biases.
//
// Number is a scalar (CUDA) or a vector of rows or units (CPU). Math names the function tanh for it.
#pragma once

#include "cell.h"

namespace seqlight {

template <typename Math, typename Number>
SEQLIGHT_CELL Number rnn_cell(bool relu, const Number& sum) {
  return relu ? (sum < 0 ? Number{} : sum) : Math::tanh(sum);  // keeps NaN
}

// From the activated sum and the gradient for it, the gradient for the sum.
template <typename Number>
SEQLIGHT_CELL Number rnn_cell_backward(bool relu, const Number& activated, const Number& grad_h) {
  return relu ? (activated <= 0 ? Number{} : grad_h) : grad_h * (1 - activated * activated);  // NaN passes
}

}  // namespace seqlight
