FROM tiny
ONBUILD RUN true
STOPSIGNAL SIGINT
VOLUME /v
SHELL ["sh", "-e", "-c"]
CMD exit 3
