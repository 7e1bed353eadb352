FROM tiny
COPY nosuch /
