// The LSTM's kernels for one instruction set; lstm_<isa>.cpp includes it.

// clang-format off: the order matters
#include "recurrent_cells.inl"
#include "lstm.inl"
#include "lstm_staged.inl"
#include "lstm_normalized.inl"
#include "end_of_isa.inl"
// clang-format on
