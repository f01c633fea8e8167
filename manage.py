#!/usr/bin/env python
"""Django's command line."""

import os
import sys

from django.core.management import execute_from_command_line

from core.acting import acting

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "juniro.settings")
    # What a command changes is noted under its name.
    with acting(lambda: {"source": f"manage.py {' '.join(sys.argv[1:2])}"}):
        execute_from_command_line(sys.argv)
