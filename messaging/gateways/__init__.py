"""Providers, behind one interface: base says what they do; registry knows those of this installation."""
