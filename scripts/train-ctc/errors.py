"""Word errors."""


def word_errors(said, heard):
    """Substitutions, deletions and insertions between two texts, and the words of the first."""
    said, heard = said.split(), heard.split()
    row = list(range(len(heard) + 1))
    for count, word in enumerate(said, 1):
        diagonal, row[0] = row[0], count
        for column, other in enumerate(heard, 1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
    return row[-1], len(said)
