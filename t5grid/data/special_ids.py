"""no text -> the ids that mean something by themselves, in every vocabulary.

The first three are padding, end of sequence and unknown; the last are sentinels. To an encoder the end of
sequence is what BERT calls [SEP], the first sentinel [MASK], and the second [CLS].
"""

PAD, EOS, UNK = 0, 1, 2
FIRST_ORDINARY_ID = 3


def mask_id(vocab_size: int) -> int:
    """What stands for a hidden token."""
    return vocab_size - 1


def delimiter_id(vocab_size: int) -> int:
    """What GPT reads between two texts."""
    return vocab_size - 3


def class_id(vocab_size: int) -> int:
    """What begins every row that an encoder reads, and is where it answers for the row as a whole."""
    return vocab_size - 2
