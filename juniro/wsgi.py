"""The WSGI application that the API server runs."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "juniro.settings")
application = get_wsgi_application()
