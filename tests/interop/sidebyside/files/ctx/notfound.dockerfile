FROM tiny
RUN ["/no/such"]
