FROM tiny
COPY one /x/
COPY dir /d/
RUN cat /x/one /d/two
CMD ["cat", "/x/one"]
