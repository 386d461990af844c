#!/usr/bin/env bash
# Starts the sandbox for one CI job, and writes its `base_url` and `ca` to GITHUB_OUTPUT.
# The gate's container has its own network, where loopback is not the runner, and other addresses must use https. So the
# sandbox listens on the runner's own address with a certificate that is valid for a day. The CA bundle contains the
# system's certificates too, because the gate uses the same bundle for GitHub's API.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$PWD/.sandbox # in the workspace, which is where a container finds it
mkdir -p "$folder"

# Connecting a datagram socket sends nothing; it tells which address of this machine others see.
address=$(python3 -c 'from socket import *; s = socket(type=SOCK_DGRAM); s.connect(("192.0.2.1", 9)); print(s.getsockname()[0])')

openssl req -x509 -days 1 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=sandbox" \
  -addext "subjectAltName=IP:$address" -addext "keyUsage=critical,digitalSignature,keyCertSign" \
  -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2>"$folder/log" || { cat "$folder/log" >&2; exit 1; }
cat "$folder/key.pem" "$folder/certificate.pem" >"$folder/server.pem"
cat /etc/ssl/certs/ca-certificates.crt "$folder/certificate.pem" >"$folder/ca.pem"

exec 3< <(exec nohup python3 scripts/sandbox.py --host "$address" --certificate "$folder/server.pem" \
  </dev/null 2>"$folder/log")
read -r base_url _ <&3 || { cat "$folder/log" >&2; exit 1; } # it says its address once it answers
printf '%s\n' "base_url=$base_url" "ca=$folder/ca.pem" | tee -a "$GITHUB_OUTPUT"
