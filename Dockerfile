# One image for every process of a region: the API by default, worker, beat and migrations by another command
# (docs/deploy.md). No secret is baked in; every setting comes from the environment at start (docs/settings.md).

FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements.txt .
# The virtual environment gets no pip of its own: the one of this stage installs into it and stays behind.
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements.txt
COPY . .
# Production settings refuse to load without their variables. These stand in for this one command and are kept nowhere.
RUN JUNIRO_ENV=production REGION=us SECRET_KEY=collectstatic ALLOWED_HOSTS=collectstatic \
    DATABASE_URL=postgres://build GLOBAL_DATABASE_URL=postgres://build \
    REDIS_URL=redis://build GLOBAL_REDIS_URL=redis://build CELERY_BROKER_URL=redis://build \
    SUPABASE_URL=https://build SUPABASE_SERVICE_ROLE_KEY=build \
    STRIPE_SECRET_KEY=build STRIPE_WEBHOOK_SECRET=build \
    CHECKOUT_SUCCESS_URL=https://build CHECKOUT_CANCEL_URL=https://build EMAIL_URL=consolemail:// \
    /venv/bin/python manage.py collectstatic --noinput --verbosity 0 \
    && /venv/bin/python -m compileall -q .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin juniro
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
# Settings default to local mode, which an image never is.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 JUNIRO_ENV=production PORT=5001 WORKERS=2
USER 10001
EXPOSE 5001
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as http; http.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/health', timeout=4)"]
# `exec`, so that the server is the process that gets the engine's signals. As many workers as cores.
CMD ["/bin/sh", "-c", "exec granian --interface wsgi --host 0.0.0.0 --port \"$PORT\" --workers \"$WORKERS\" --blocking-threads 4 --no-ws --respawn-failed-workers --workers-kill-timeout 10 --log-level warning juniro.wsgi:application"]
