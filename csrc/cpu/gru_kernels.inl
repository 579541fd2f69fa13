// The GRU's kernels for one instruction set; gru_<isa>.cpp includes it.

// clang-format off: the order matters
#include "recurrent_cells.inl"
#include "gru.inl"
#include "gru_staged.inl"
#include "gru_normalized.inl"
#include "end_of_isa.inl"
// clang-format on
