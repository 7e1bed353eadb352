FROM tiny
RUN echo before; exit 7
