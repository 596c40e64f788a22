"""Providers behind one interface: `base.py` defines it, `registry.py` knows those of this installation."""
