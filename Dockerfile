# syntax=docker/dockerfile:1
FROM python:3.13.9-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/diglot
COPY requirements.txt ./
RUN /opt/diglot/bin/pip install --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY schemas schemas
COPY service service
COPY workers workers
RUN /opt/diglot/bin/pip install --no-deps --no-build-isolation .

FROM python:3.13.9-slim-trixie
# A volume takes its owner from the folder that it covers.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/diglot diglot \
    && install --directory --owner=diglot --group=diglot /var/lib/diglot/media
COPY --from=build /opt/diglot /opt/diglot
COPY newsroom.json /etc/diglot/newsroom.json
ENV PATH=/opt/diglot/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DIGLOT_DATA_DIR=/var/lib/diglot \
    DIGLOT_PROFILE=/etc/diglot/newsroom.json
USER 10001
WORKDIR /var/lib/diglot
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
CMD ["python", "-m", "service.server", "--host", "0.0.0.0", "--port", "8080", "--workers", "2", "service.asgi:app"]
