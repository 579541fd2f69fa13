// Lets a wrapper include a kernel once more for the next vector width.
#undef SEQLIGHT_ISA
#undef SEQLIGHT_VECTOR_BYTES
#undef SEQLIGHT_INLINE
#undef SEQLIGHT_SHUFFLE
