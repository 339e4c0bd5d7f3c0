# SPDX-License-Identifier: BSD-3-Clause
"""Offline analysis of Atoll's HDF5 files: reports, tables with intervals and verdicts, pictures of data sets.

It knows the files alone (their schema is in src/store and data/dataset.h), never the program that wrote them.
"""
