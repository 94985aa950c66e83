"""From a goal to dated steps that a person can live by, and from a plan to a changed one. Pure.

`reading` makes a `Goal` out of what was said, `making` a `Plan` out of it, `requests` reads what a person wants
changed, `changing` does it under the same invariants (`Plan.problems`), `showing` puts a plan into words. Kinds of
goals are files in `kinds/`.
"""
