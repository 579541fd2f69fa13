// The simple recurrent layer's kernels for one instruction set; rnn_<isa>.cpp includes it.

// clang-format off: the order matters
#include "recurrent_cells.inl"
#include "rnn.inl"
#include "rnn_staged.inl"
#include "rnn_normalized.inl"
#include "end_of_isa.inl"
// clang-format on
