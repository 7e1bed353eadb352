FROM tiny
COPY one dir/two /target
