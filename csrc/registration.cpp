// The schema of every operator, and nothing else. Python reaches them through seqlight.ops only.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(seqlight, m) {
  m.def(
      "lstm_forward(Tensor x, Tensor h0, Tensor c0, Tensor weight_ih, Tensor weight_hh, Tensor? bias_ih, "
      "Tensor? bias_hh, Tensor? weight_peephole, Tensor? weight_layer_norm, Tensor? hidden_mask=None, "
      "Tensor? zoneout_seed=None, Tensor? lengths=None, float zoneout_h=0.0, float zoneout_c=0.0, bool reverse=False, "
      "Tensor? packed=None, bool save_for_backward=False) -> (Tensor output, Tensor h_n, Tensor c_n, Tensor saved)");
  m.def(
      "lstm_backward(Tensor? grad_output, Tensor? grad_h_n, Tensor? grad_c_n, Tensor x, Tensor h0, Tensor c0, "
      "Tensor weight_ih, Tensor weight_hh, Tensor? bias_ih, Tensor? bias_hh, Tensor? weight_peephole, "
      "Tensor? weight_layer_norm, Tensor output, Tensor saved, bool need_input_grad, bool need_weight_grad, "
      "Tensor? hidden_mask=None, Tensor? zoneout_seed=None, Tensor? lengths=None, float zoneout_h=0.0, "
      "float zoneout_c=0.0, bool reverse=False) "
      "-> (Tensor grad_x, Tensor grad_h0, Tensor grad_c0, Tensor grad_weight_ih, Tensor grad_weight_hh, "
      "Tensor grad_bias, Tensor grad_weight_peephole, Tensor grad_weight_layer_norm)");
  m.def(
      "lstm_pack(Tensor weight_ih, Tensor weight_hh, Tensor? bias_ih, Tensor? bias_hh, Tensor? weight_peephole, "
      "bool general) -> Tensor");
  m.def("lstm_step(Tensor x, Tensor h0, Tensor c0, Tensor packed) -> (Tensor output, Tensor h_n, Tensor c_n)");
  m.def(
      "gru_forward(Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh, Tensor? bias_ih, Tensor? bias_hh, "
      "Tensor? weight_layer_norm, Tensor? hidden_mask=None, Tensor? zoneout_seed=None, Tensor? lengths=None, "
      "float zoneout=0.0, bool reverse=False, Tensor? packed=None, bool save_for_backward=False) "
      "-> (Tensor output, Tensor h_n, Tensor saved)");
  m.def(
      "gru_backward(Tensor? grad_output, Tensor? grad_h_n, Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh, "
      "Tensor? bias_ih, Tensor? bias_hh, Tensor? weight_layer_norm, Tensor output, Tensor saved, "
      "bool need_input_grad, bool need_weight_grad, Tensor? hidden_mask=None, Tensor? zoneout_seed=None, "
      "Tensor? lengths=None, float zoneout=0.0, bool reverse=False) "
      "-> (Tensor grad_x, Tensor grad_h0, Tensor grad_weight_ih, Tensor grad_weight_hh, Tensor grad_bias_ih, "
      "Tensor grad_bias_hh, Tensor grad_weight_layer_norm)");
  m.def("gru_pack(Tensor weight_ih, Tensor weight_hh, Tensor? bias_ih, Tensor? bias_hh, bool general) -> Tensor");
  m.def("gru_step(Tensor x, Tensor h0, Tensor packed) -> (Tensor output, Tensor h_n)");
  m.def(
      "rnn_forward(Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh, Tensor? bias_ih, Tensor? bias_hh, "
      "Tensor? weight_layer_norm, Tensor? hidden_mask=None, Tensor? zoneout_seed=None, Tensor? lengths=None, "
      "float zoneout=0.0, bool relu=False, bool reverse=False, Tensor? packed=None, bool save_for_backward=False) "
      "-> (Tensor output, Tensor h_n, Tensor saved)");
  m.def(
      "rnn_backward(Tensor? grad_output, Tensor? grad_h_n, Tensor x, Tensor h0, Tensor weight_ih, Tensor weight_hh, "
      "Tensor? bias_ih, Tensor? bias_hh, Tensor? weight_layer_norm, Tensor output, Tensor saved, "
      "bool need_input_grad, bool need_weight_grad, Tensor? hidden_mask=None, Tensor? zoneout_seed=None, "
      "Tensor? lengths=None, float zoneout=0.0, bool relu=False, bool reverse=False) "
      "-> (Tensor grad_x, Tensor grad_h0, Tensor grad_weight_ih, Tensor grad_weight_hh, Tensor grad_bias, "
      "Tensor grad_weight_layer_norm)");
  m.def("rnn_pack(Tensor weight_ih, Tensor weight_hh, Tensor? bias_ih, Tensor? bias_hh, bool general) -> Tensor");
  m.def("rnn_step(Tensor x, Tensor h0, Tensor packed, bool relu=False) -> (Tensor output, Tensor h_n)");
  m.def(
      "causal_conv1d_forward(Tensor x, Tensor? state, Tensor weight, Tensor? bias, int dilation, int groups, "
      "int activation, bool save_for_backward) -> (Tensor output, Tensor new_state, Tensor saved)");
  m.def(
      "causal_conv1d_backward(Tensor? grad_output, Tensor? grad_new_state, Tensor x, Tensor? state, Tensor weight, "
      "int dilation, int groups, int activation, Tensor activated, bool need_input_grad, bool need_state_grad, "
      "bool need_weight_grad, bool need_bias_grad) "
      "-> (Tensor grad_x, Tensor grad_state, Tensor grad_weight, Tensor grad_bias)");
  m.def("sigmoid(Tensor x) -> Tensor");
  m.def("tanh(Tensor x) -> Tensor");
  m.def(
      "wavenet_generate(Tensor first, Tensor input_state, Tensor states, Tensor input_weight, Tensor input_bias, "
      "Tensor[] conv_weights, Tensor[] conv_biases, Tensor[] project_weights, Tensor[] project_biases, "
      "Tensor[] condition_weights, Tensor? condition, Tensor? static_terms, Tensor[] head_weights, "
      "Tensor[] head_biases, int[] dilations, int steps, Tensor? seed, float temperature) "
      "-> (Tensor output, Tensor new_states)");
  m.def(
      "wavenet_layer_forward(Tensor h, Tensor? state, Tensor? skip, Tensor conv_weight, Tensor conv_bias, "
      "Tensor project_weight, Tensor project_bias, Tensor? condition, Tensor? condition_weight, Tensor? static_term, "
      "int dilation, bool residual, bool save_for_backward) "
      "-> (Tensor h_next, Tensor skip_sum, Tensor new_state, Tensor activated)");
  m.def(
      "wavenet_layer_backward(Tensor? grad_h_next, Tensor? grad_skip, Tensor? grad_new_state, Tensor h, Tensor? state, "
      "Tensor conv_weight, Tensor project_weight, Tensor? condition, Tensor? condition_weight, int dilation, "
      "bool residual, Tensor activated, bool need_h, bool need_state, bool need_weights, bool need_condition, "
      "bool need_condition_weight, bool need_static) "
      "-> (Tensor grad_h, Tensor grad_state, Tensor grad_conv_weight, Tensor grad_conv_bias, "
      "Tensor grad_project_weight, Tensor grad_project_bias, Tensor grad_condition, Tensor grad_condition_weight, "
      "Tensor grad_static)");
}
