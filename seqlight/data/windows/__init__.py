"""Windows over series: data sets, samplers, chunks of time."""
