# The runner needs root and sets the working directory itself, so there is neither USER nor WORKDIR here:
# https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support
#
# Dependabot renews the digest. Where no registry can be reached, `make image GATE_BASE=python:3.14-slim` builds on a
# local image instead; the image of a release is always built on the digest.
FROM python:3.14-slim@sha256:ce40764625a4ff50df3548277632e7f96c4e77fe75fa848aae9885476e7df5a4 AS base

FROM base AS build
COPY requirements.txt /
# pip works on the environment from outside, so what ships has none of its own. Bytecode that trusts its source
# is read at every start, whatever the copying between stages does to the times of files.
RUN python3 -m venv --without-pip /app/venv && \
    python3 -m pip --python /app/venv install --require-hashes --no-deps --only-binary :all: --no-cache-dir --no-compile \
      --disable-pip-version-check --root-user-action ignore -r /requirements.txt && \
    /app/venv/bin/python3 -m compileall -q --invalidation-mode unchecked-hash /app/venv/lib
COPY sepurux_action /app/sepurux_action
RUN /app/venv/bin/python3 -m compileall -q --invalidation-mode unchecked-hash /app/sepurux_action

FROM base
LABEL org.opencontainers.image.title="Sepurux gate" \
      org.opencontainers.image.description="Gates pull requests and deployments on a Sepurux reliability evaluation." \
      org.opencontainers.image.source="https://github.com/sepurux/gate-action" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /app/venv /app/venv
COPY --from=build /app/sepurux_action /app/sepurux_action
COPY entrypoint.py /app/
# The base comes with pip, and with the means to bring it back; nothing is installed from here on.
RUN set -e; \
    for module in pip ensurepip; do \
      folder=$(python3 -I -c "import os, $module; print(os.path.dirname($module.__file__))"); \
      rm -r "$folder"*; \
    done; \
    rm -f /usr/bin/pip* /usr/local/bin/pip*
# The slim base comes without the standard library's bytecode: importing everything once leaves it where each
# start finds it, and an image that cannot import its own code is never built.
RUN ["/app/venv/bin/python3", "-I", "-c", "import sys; sys.path.insert(0, '/app'); import sepurux_action.app"]
# -I: no PYTHON* variable of an earlier step and no module of the checkout reaches the interpreter.
# -u: log lines arrive when they are written; -I makes PYTHONUNBUFFERED mute.
ENTRYPOINT ["/app/venv/bin/python3", "-I", "-u", "/app/entrypoint.py"]
