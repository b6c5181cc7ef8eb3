"""Digits: data sets in MNIST's format, networks, training, results.

This file holds no code, so that no stage depends on it.
"""
