FROM tiny
COPY ../env /
