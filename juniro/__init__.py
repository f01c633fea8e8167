# Tasks are sent through the app that is current in the process, so the web process must load it, too.
from juniro.celery import app as celery_app

__all__ = ["celery_app"]
