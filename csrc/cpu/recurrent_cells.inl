// Every recurrent cell for one instruction set and vector width; recurrent_<isa>_<bits>.cpp includes it.

// clang-format off: the order matters
#include "recurrent.inl"
#include "gru.inl"
#include "lstm.inl"
#include "rnn.inl"
#include "end_of_isa.inl"
// clang-format on
