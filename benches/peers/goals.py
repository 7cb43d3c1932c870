"""What is demanded of girih beside what was measured: a table with a verdict a line."""

from rich.table import Table


class Goals:
    """Collects demands that a number is at most some bound, and shows them at the end."""

    def __init__(self):
        self.rows = []

    def at_most(self, what, measured, bound, why=""):
        """`measured` shall not exceed `bound`, which `why` explains; what is not known is said."""
        known = measured is not None and bound is not None
        verdict = ("holds" if measured <= bound else "MISSES") if known else "not measured"
        found, most = ["-" if value is None else f"{value:.3g}" for value in (measured, bound)]
        self.rows.append((what, found, f"{most}{f', {why}' if why else ''}", verdict))

    def show(self, console):
        if not self.rows:
            return
        table = Table(title="demanded of girih", title_justify="left")
        for heading in ("", "measured", "at most", "verdict"):
            table.add_column(heading, justify="right" if heading == "measured" else "left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
