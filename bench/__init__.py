"""The benchmark: what Clickwarden does in a second, beside what others do.

``python -m bench --help`` lists what can be measured. The figures of one run
are comparable with each other; absolute ones belong to the machine.
"""
