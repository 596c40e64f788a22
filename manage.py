#!/usr/bin/env python
"""Django's command line for smsapp."""

import sys

from django.core.management import execute_from_command_line

from smsapp.runtime.environment import choose_settings

if __name__ == "__main__":
    choose_settings()
    execute_from_command_line(sys.argv)
