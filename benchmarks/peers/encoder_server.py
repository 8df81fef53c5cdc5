"""A plain classifier as a server: FastAPI, the small engine's MiniLM, the nearest label. What a decisions server is held against.

python -m benchmarks.peers.encoder_server LABEL... PORT
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from constrained.engines.small.encoder import MiniLM


class Question(BaseModel):
    input: str


def make_app(labels: list[str]) -> FastAPI:
    """``POST /classify`` names the label whose vector is nearest to the input's."""
    encoder = MiniLM()
    known = encoder.vectors(labels)
    app = FastAPI()

    @app.post("/classify")
    def classify(question: Question) -> dict[str, object]:
        likeness = known @ encoder.vectors([question.input])[0]
        return {"label": labels[int(likeness.argmax())], "scores": likeness.tolist()}

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[1:-1]), port=int(sys.argv[-1]), log_level="warning", access_log=False)
