"""Sizes of one call of a recurrent layer, as the command line spells them."""

from dataclasses import dataclass

from seqlight.benchmark.sizes import parse_sizes


@dataclass(frozen=True)
class RecurrentCase:
    """Sizes of one recurrent layer call.

    Attributes:
        batch: B, sequences.
        steps: T, time steps.
        input_size: I, features of the input.
        hidden_size: H, hidden units.
        stream: one time step with the state handed in and out (``steps`` is 1; forward only).
    """

    batch: int
    steps: int
    input_size: int
    hidden_size: int
    stream: bool = False

    @property
    def shape(self) -> dict[str, int]:
        """Sizes by the letters of the report's header."""
        return {"B": self.batch, "T": self.steps, "I": self.input_size, "H": self.hidden_size}

    @property
    def label(self) -> str:
        """As the report names the case and ``--shapes`` spells it."""
        return ",".join(map(str, self.shape.values())) + (":step" if self.stream else "")

    @classmethod
    def parse(cls, text: str) -> "RecurrentCase":
        """Read ``B,T,I,H``, with ``:step`` behind it for one streaming step.

        Raises:
            ValueError: not four positive whole numbers, or a streaming step with T other than 1.
        """
        sizes, _, kind = text.partition(":")
        batch, steps, input_size, hidden_size = parse_sizes(sizes, "B,T,I,H", "32,50,1,20")
        if kind not in ("", "step"):
            raise ValueError(f"expected nothing or ':step' behind the sizes, got ':{kind}'")
        if kind and steps != 1:
            raise ValueError(f"expected T = 1 for a streaming step, got T = {steps} in {text!r}")
        return cls(batch, steps, input_size, hidden_size, stream=bool(kind))


def parse_cases(*texts: str) -> tuple[RecurrentCase, ...]:
    """Read several."""
    return tuple(map(RecurrentCase.parse, texts))
