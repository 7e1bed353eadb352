FROM tiny AS first
RUN echo made > /made
FROM tiny
COPY --from=first /made /got
USER ana
WORKDIR /w/x
LABEL a=b c="d e"
EXPOSE 80 53/udp
ENTRYPOINT ["cat"]
CMD ["/got"]
