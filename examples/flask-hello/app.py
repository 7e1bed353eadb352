"""A Flask application that answers on port 5001."""

from flask import Flask

app = Flask(__name__)


@app.route("/")
def index() -> str:
    return "Bizza Web App Dockerization!"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5001)
