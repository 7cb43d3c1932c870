"""What is demanded of girih beside what was measured: a table with a verdict a line."""

from rich.table import Table


class Goals:
    """Collects demands that a number is at most some bound, and shows them at the end."""

    def __init__(self):
        self.rows = []

    def at_most(self, what, measured, bound, why=""):
        """`measured` shall not exceed `bound`, which `why` explains; nothing is demanded where one is not known."""
        if measured is None or bound is None:
            return
        verdict = "holds" if measured <= bound else "MISSES"
        self.rows.append((what, f"{measured:.3g}", f"{bound:.3g}{f', {why}' if why else ''}", verdict))

    def show(self, console):
        if not self.rows:
            return
        table = Table(title="demanded of girih", title_justify="left")
        for heading in ("", "measured", "at most", "verdict"):
            table.add_column(heading, justify="right" if heading == "measured" else "left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
