"""no text -> the ids that every vocabulary begins with: padding, end of sequence, unknown, ordinary ones."""

PAD, EOS, UNK = 0, 1, 2
FIRST_ORDINARY_ID = 3
