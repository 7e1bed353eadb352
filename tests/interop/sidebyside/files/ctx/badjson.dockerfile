FROM tiny
CMD ["a", 1]
