#!/bin/sh
# Fills templates with the environment variables that are defined, and leaves nginx's own variables alone.
set -e
templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
output=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
filter=${NGINX_ENVSUBST_FILTER:-}
[ -d "$templates" ] || exit 0
if ! [ -w "$output" ]; then
  echo "$0: $output is not writable: templates are left as they are" >&2
  exit 0
fi
defined=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' | { [ -n "$filter" ] && grep -E "$filter" || cat; } | sed 's/.*/${&}/' | tr '\n' ' ')
find -L "$templates" -type f -name "*$suffix" | while read -r template; do
  relative=${template#"$templates"/}
  target=$output/${relative%"$suffix"}
  mkdir -p "$(dirname "$target")"
  envsubst "$defined" <"$template" >"$target"
done
