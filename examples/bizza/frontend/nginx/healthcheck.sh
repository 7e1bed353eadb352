#!/bin/bash
# Exits 0 when nginx answers on port 80. By bash alone: not every nginx image has curl.
set -eu
exec 3<>/dev/tcp/127.0.0.1/80
printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
