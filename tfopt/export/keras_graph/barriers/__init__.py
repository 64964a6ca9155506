"""Operations that keep parts of a graph apart while the converter runs, and are taken out of its file."""
