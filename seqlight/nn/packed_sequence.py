"""Between torch's PackedSequence and padded [B, T, C] with lengths, which is what the ops take.

Rows keep the packed order, longest first; :func:`to_packed_order` and :func:`to_original_order` bring states
there and back.
"""

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


def pad(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """Give the rows in packed order, padded to [B, T, C], and their lengths, int64 [B] on the CPU."""
    in_packed_order = PackedSequence(packed.data, packed.batch_sizes)
    return pad_packed_sequence(in_packed_order, batch_first=True)


def pack_like(output: Tensor, lengths: Tensor, packed: PackedSequence) -> PackedSequence:
    """Pack `output` [B, T, C], rows in packed order, with the batch sizes and the row order of `packed`."""
    data = pack_padded_sequence(output, lengths, batch_first=True).data
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)


def to_packed_order(states: tuple[Tensor, ...], packed: PackedSequence) -> tuple[Tensor, ...]:
    """Reorder the rows of `states` [layers * directions, B, H] from the caller's order to the packed one."""
    if packed.sorted_indices is None:
        return states
    return tuple(state.index_select(1, packed.sorted_indices) for state in states)


def to_original_order(states: tuple[Tensor, ...], packed: PackedSequence) -> tuple[Tensor, ...]:
    """Reorder the rows of `states` [layers * directions, B, H] from the packed order to the caller's."""
    if packed.unsorted_indices is None:
        return states
    return tuple(state.index_select(1, packed.unsorted_indices) for state in states)
