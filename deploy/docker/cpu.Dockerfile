# syntax=docker/dockerfile:1
# Every stage, experts on the CPU. From the root of the repository:
#
#   docker build -f deploy/docker/cpu.Dockerfile -t densefusion:0.1.0-cpu .

# 3.11 is what the tests run on.
FROM python:3.11.15-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/densefusion
# The dependencies are a layer of their own: a change of the code does not install them again.
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE deploy/docker/dependencies.py ./
RUN python dependencies.py registry tracing > requirements.txt \
    && /opt/densefusion/bin/pip install -c constraints.txt -r requirements.txt hatchling
COPY densefusion densefusion
COPY producers producers
COPY consumers consumers
COPY schemas schemas
COPY engines engines
RUN /opt/densefusion/bin/pip install --no-deps --no-build-isolation . \
    && /opt/densefusion/bin/pip uninstall --yes hatchling pip \
    && python -m compileall -q /opt/densefusion/lib
# The OCR's 8-bit weights: a worker on a read-only root could not keep them, and would run in fp32.
COPY examples examples
RUN DENSEFUSION_EXPERTS__ENGINES=/opt/engines /opt/densefusion/bin/densefusion engines build \
    --precision int8 --images examples --model pp-ocrv6-det-small --model pp-ocrv6-rec-small

FROM python:3.11.15-slim-trixie
LABEL org.opencontainers.image.title="densefusion" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number, so that Kubernetes can tell that it is not root.
RUN useradd --uid 10001 --user-group --home-dir /var/lib/densefusion --create-home \
        --shell /usr/sbin/nologin densefusion \
    && install -d -o 10001 -g 10001 /var/lib/densefusion/models /var/lib/densefusion/engines
COPY --from=build /opt/densefusion /opt/densefusion
COPY --from=build --chown=10001:10001 /opt/engines /var/lib/densefusion/engines
COPY deploy/docker/healthcheck.py /opt/densefusion/healthcheck.py
ENV PATH=/opt/densefusion/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DENSEFUSION_WORKER__METRICS_PORT=9100 \
    DENSEFUSION_EXPERTS__MODELS=/var/lib/densefusion/models \
    DENSEFUSION_EXPERTS__ENGINES=/var/lib/densefusion/engines
USER 10001:10001
WORKDIR /var/lib/densefusion
EXPOSE 9100
# Of a worker; a container that runs another command ends before the first check counts.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "/opt/densefusion/healthcheck.py"]
# SIGTERM lets a worker finish and commit what it has in hand; give it 30 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["densefusion"]
CMD ["--help"]
