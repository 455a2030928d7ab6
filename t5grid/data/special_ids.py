"""no text -> the ids every vocabulary begins with: padding, end of sequence, unknown."""

PAD, EOS, UNK = 0, 1, 2
FIRST_ORDINARY_ID = 3
