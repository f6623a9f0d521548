# syntax=docker/dockerfile:1
# Every stage, experts on an NVIDIA GPU (CUDA or TensorRT). From the root of the repository:
#
#   docker build -f deploy/docker/gpu.Dockerfile -t densefusion:0.1.0-gpu .
#
# The base and onnxruntime-gpu belong together: the wheel's libraries ask for CUDA 13, cuDNN 9 and
# TensorRT 10 (libnvinfer.so.10), and 26.04 is TensorRT 10.16 on CUDA 13.2; from 26.06 on the base
# has TensorRT 11. Not built or run by this project's tests.
ARG BASE=nvcr.io/nvidia/tensorrt:26.04-py3

# hadolint ignore=DL3006
FROM ${BASE} AS build
# The base pins packages of its own for pip; ours are pinned by constraints.txt.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=""
WORKDIR /src
# The base's Python packages are seen: its `tensorrt` is the one that fits its libraries.
RUN python3 -m venv --without-pip --system-site-packages /opt/densefusion
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY deploy/docker/dependencies.py deploy/docker/gpu-constraints.txt ./
# onnxruntime and onnxruntime-gpu bring the same package: only one may be there. tensorrt is the
# base's; torch is for exports, which are made elsewhere.
RUN python3 dependencies.py --without onnxruntime --without tensorrt --without torch \
        --without transformers gpu full registry tracing > requirements.txt \
    && grep -v '^onnxruntime==' constraints.txt > constraints-others.txt \
    && python3 -m pip --python /opt/densefusion/bin/python install -c constraints-others.txt \
        -c gpu-constraints.txt -r requirements.txt hatchling
COPY densefusion densefusion
COPY producers producers
COPY consumers consumers
COPY schemas schemas
COPY engines engines
RUN python3 -m pip --python /opt/densefusion/bin/python install --no-deps --no-build-isolation . \
    && python3 -m compileall -q /opt/densefusion/lib

# hadolint ignore=DL3006
FROM ${BASE}
LABEL org.opencontainers.image.title="densefusion" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number, so that Kubernetes can tell that it is not root.
RUN useradd --uid 10001 --user-group --home-dir /var/lib/densefusion --create-home \
        --shell /usr/sbin/nologin densefusion \
    && install -d -o 10001 -g 10001 /var/lib/densefusion/models /var/lib/densefusion/engines
COPY --from=build /opt/densefusion /opt/densefusion
COPY deploy/docker/healthcheck.py /opt/densefusion/healthcheck.py
ENV PATH=/opt/densefusion/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    DENSEFUSION_WORKER__METRICS_PORT=9100 \
    DENSEFUSION_EXPERTS__PROVIDER=tensorrt \
    DENSEFUSION_EXPERTS__MODELS=/var/lib/densefusion/models \
    DENSEFUSION_EXPERTS__ENGINES=/var/lib/densefusion/engines
USER 10001:10001
WORKDIR /var/lib/densefusion
EXPOSE 9100
# A first start may build engines, which takes minutes: `densefusion engines build` does it before.
HEALTHCHECK --interval=15s --timeout=5s --start-period=900s --retries=3 \
    CMD ["python", "/opt/densefusion/healthcheck.py"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["densefusion"]
CMD ["--help"]
