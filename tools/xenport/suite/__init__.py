"""The conformance run: plan, boots, verdicts, ladder and reports."""
