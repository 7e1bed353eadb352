FROM tiny
RNU true
