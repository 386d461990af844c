"""Owns every rule of the gate as pure functions; never does I/O, reads a clock or imports a third party."""
