// What every recurrent cell needs for one instruction set; lstm_kernels.inl and its siblings include it. One object
// per cell and instruction set, so that compilers of two cores have equal shares.

// clang-format off: the order matters
#include "recurrent.inl"
#include "recurrent_rows.inl"
// clang-format on

// The kernels of a cell for many rows and for few.
#define SEQLIGHT_DEFINE_RECURRENT(name, Cell, variant)                                                  \
  extern const RecurrentKernels<float> name##_float = lanes_kernels<Cell<float, variant>, float>();     \
  extern const RecurrentKernels<double> name##_double = lanes_kernels<Cell<double, variant>, double>(); \
  extern const RecurrentKernels<float> name##_rows_float = rows_kernels<Cell<float, variant>, float>(); \
  extern const RecurrentKernels<double> name##_rows_double = rows_kernels<Cell<double, variant>, double>();

// The kernels of a cell with recurrent dropout and zoneout.
#define SEQLIGHT_DEFINE_STAGED(name, Cell)                                                        \
  extern const RecurrentKernels<float> name##_staged_float = lanes_kernels<Cell<float>, float>(); \
  extern const RecurrentKernels<double> name##_staged_double = lanes_kernels<Cell<double>, double>();

// The kernels of a cell with layer normalisation, for many rows and for few.
#define SEQLIGHT_DEFINE_NORMALIZED(name, Cell)                                                            \
  extern const RecurrentKernels<float> name##_normalized_float = lanes_kernels<Cell<float>, float>();     \
  extern const RecurrentKernels<double> name##_normalized_double = lanes_kernels<Cell<double>, double>(); \
  extern const RecurrentKernels<float> name##_normalized_rows_float = rows_kernels<Cell<float>, float>(); \
  extern const RecurrentKernels<double> name##_normalized_rows_double = rows_kernels<Cell<double>, double>();
