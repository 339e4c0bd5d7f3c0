# SPDX-License-Identifier: BSD-3-Clause
"""Tests of the analysis: python3 -m unittest discover, in analysis/."""
