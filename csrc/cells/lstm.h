// The LSTM cell's equations and their derivatives, once, for every kernel.
//
//   i = sigmoid(z_i + p_i c')     f = sigmoid(z_f + p_f c')     g = tanh(z_g)
//   c = f c' + i g                o = sigmoid(z_o + p_o c)      h = o tanh(c)
//
// c' is the cell state before the step, z_* the sum of input product, recurrent product and bias, p_* the peephole
// weights (Gers, Schraudolph and Schmidhuber 2002); without peepholes p_* = 0.
//
// Number is a scalar (CUDA) or a vector of rows or units (CPU). Math names the functions sigmoid and tanh for it.
#pragma once

#include "cell.h"

namespace seqlight {

template <typename Number>
struct LstmPeephole {
  Number input, forget, output;
};

template <typename Number>
struct LstmGates {
  Number input, forget, cell, output;  // before the activation on entry of lstm_cell, after it on return
};

// Turns pre-activations into activated gates and returns the new cell state.
template <bool kPeephole, typename Math, typename Number>
SEQLIGHT_CELL Number lstm_cell_state(LstmGates<Number>& gates, const Number& c_before,
                                     const LstmPeephole<Number>& peephole) {
  if constexpr (kPeephole) {
    gates.input += peephole.input * c_before;
    gates.forget += peephole.forget * c_before;
  }
  gates.input = Math::sigmoid(gates.input);
  gates.forget = Math::sigmoid(gates.forget);
  gates.cell = Math::tanh(gates.cell);
  const Number c = gates.forget * c_before + gates.input * gates.cell;
  if constexpr (kPeephole) gates.output += peephole.output * c;
  gates.output = Math::sigmoid(gates.output);
  return c;
}

// The same; writes the new cell state and the new hidden state.
template <bool kPeephole, typename Math, typename Number>
SEQLIGHT_CELL void lstm_cell(LstmGates<Number>& gates, const Number& c_before, const LstmPeephole<Number>& peephole,
                             Number& c, Number& h) {
  c = lstm_cell_state<kPeephole, Math>(gates, c_before, peephole);
  h = gates.output * Math::tanh(c);
}

// From the activated gates, the cell state before, and the gradients for the output gate's pre-activation and for c
// (without the former's share through the peephole), the gradients for all pre-activations z_* and, in grad_c, for c'.
template <bool kPeephole, typename Number>
SEQLIGHT_CELL LstmGates<Number> lstm_cell_state_backward(const LstmGates<Number>& gates, const Number& c_before,
                                                         const LstmPeephole<Number>& peephole,
                                                         const Number& grad_output_gate, Number total, Number& grad_c) {
  LstmGates<Number> grad;
  grad.output = grad_output_gate;
  if constexpr (kPeephole) total += grad.output * peephole.output;
  const Number total_i = total * gates.input;
  const Number total_f = total * gates.forget;
  grad.input = total_i * gates.cell * (1 - gates.input);
  grad.forget = total_f * c_before * (1 - gates.forget);
  grad.cell = total_i * (1 - gates.cell * gates.cell);
  grad_c = total_f;
  if constexpr (kPeephole) grad_c += grad.input * peephole.input + grad.forget * peephole.forget;
  return grad;
}

// From the activated gates, both cell states and the gradient of the loss for h (grad_h) and c (grad_c, from the step
// after), the gradient for the pre-activations z_* and, returned in grad_c, for c'.
template <bool kPeephole, typename Math, typename Number>
SEQLIGHT_CELL LstmGates<Number> lstm_cell_backward(const LstmGates<Number>& gates, const Number& c_before,
                                                   const Number& c, const LstmPeephole<Number>& peephole,
                                                   const Number& grad_h, Number& grad_c) {
  const Number squashed = Math::tanh(c);
  const Number grad_h_o = grad_h * gates.output;
  const Number total = grad_c + grad_h_o * (1 - squashed * squashed);
  const Number grad_output_gate = grad_h_o * squashed * (1 - gates.output);
  return lstm_cell_state_backward<kPeephole>(gates, c_before, peephole, grad_output_gate, total, grad_c);
}

}  // namespace seqlight
