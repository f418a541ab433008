"""What is drawn or set out on a page about runs: Plotly figures, step tables, a step's formula."""
