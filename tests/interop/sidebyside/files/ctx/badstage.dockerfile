FROM tiny
COPY --from=nosuch /a /b
