// The GRU cell's equations and their derivatives, in torch.nn.GRU's variant: the reset gate multiplies the recurrent
// product after its bias (Cho et al. 2014 multiply the state before the product).
//
//   r = sigmoid(s_r)    z = sigmoid(s_z)    n = tanh(x_n + r h_n)    h = n + z (h' - n)
//
// h' is the state before the step; s_r and s_z sum input product, recurrent product and both biases; x_n is the input
// product and h_n the recurrent product for the new gate, each with its own bias.
#pragma once

#include "cell.h"

namespace seqlight {

template <typename Number>
struct GruGates {
  Number reset, update, candidate;
};

// From the four sums, the activated gates and the new state.
template <typename Math, typename Number>
SEQLIGHT_CELL Number gru_cell(const Number& reset, const Number& update, const Number& input, const Number& hidden,
                              const Number& h_before, GruGates<Number>& gates) {
  gates.reset = Math::sigmoid(reset);
  gates.update = Math::sigmoid(update);
  gates.candidate = Math::tanh(input + gates.reset * hidden);
  return gates.candidate + gates.update * (h_before - gates.candidate);
}

template <typename Number>
struct GruGradients {
  Number reset, update, input, hidden;  // for the four sums
  Number direct;                        // for h', without the share through the recurrent product
};

template <typename Number>
SEQLIGHT_CELL GruGradients<Number> gru_cell_backward(const GruGates<Number>& gates, const Number& hidden,
                                                     const Number& h_before, const Number& grad_h) {
  GruGradients<Number> grad;
  grad.update = grad_h * (h_before - gates.candidate) * gates.update * (1 - gates.update);
  grad.input = grad_h * (1 - gates.update) * (1 - gates.candidate * gates.candidate);
  grad.hidden = grad.input * gates.reset;
  grad.reset = grad.input * hidden * gates.reset * (1 - gates.reset);
  grad.direct = grad_h * gates.update;
  return grad;
}

}  // namespace seqlight
