// Large tensors that only the operators themselves see (what forward keeps for backward), in memory that is used again:
// the C library maps a large buffer anew for every call, and the faults of its fresh pages cost a small recurrent layer
// as much as its arithmetic.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <initializer_list>

namespace seqlight::cpu {

// Uninitialised, with dtype and device (CPU) of `like`. Its memory goes back to the pool when the last reference to the
// tensor goes. The pool keeps up to SEQLIGHT_POOL_MIB mebibytes (environment, read once; 0 for none) of memory that no
// tensor uses; if unset, a sixteenth of the machine's memory, but from 256 to 1024 MiB.
torch::stable::Tensor pooled_empty(const torch::stable::Tensor& like, std::initializer_list<int64_t> sizes);

}  // namespace seqlight::cpu
