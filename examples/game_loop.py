"""A game loop: three people, 60 frames a second, and no frame waits for a reply. With pygame-ce where it is installed, else a timer."""

import gc
import os
import sys
import time

from ferry import Traveller, ferrywoman

from constrained import Dialogue
from constrained.games import Scene
from constrained.testing import ScriptedEngine

try:
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # no screen is needed
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame
except ModuleNotFoundError:
    pygame = None

TYPED = {"Odo, how deep is the river?": "river", "Take me over!": "carry", "Ada! Row me for nothing?": "broke"}  # what the player types


class Screen:
    """Draws one frame, and waits for the next."""

    def __init__(self) -> None:
        if pygame:
            pygame.display.init()
            self.window, self.clock = pygame.display.set_mode((320, 180)), pygame.time.Clock()

    def show(self) -> None:
        if pygame:
            pygame.event.pump()
            self.window.fill("navy")
            pygame.display.flip()
            self.clock.tick(60)
        else:
            time.sleep(1 / 60)


engine = ScriptedEngine(TYPED)  # one for all; in a game: constrained.engines.loading.load_engine("small")
landing = Scene({name: Dialogue(ferrywoman, engine=engine) for name in ("maud", "odo", "ada")})
state, typed, pending, screen, worst = Traveller(silver=3), list(TYPED), None, Screen(), 0.0
gc.collect()
gc.freeze()  # what is loaded stays; no frame waits until all of it was looked through
while typed or pending:
    began = time.perf_counter()
    if pending is None:
        pending = landing.start_reply(typed.pop(0), state, facing="maud")
    elif (answer := pending.poll()) is not None:
        state = answer.turn.apply(state)  # before the next message: it is said to the state after it
        print(f"{answer.who} ({answer.why}): {answer.turn.text} | silver: {state.silver}")
        pending = None
    worst = max(worst, time.perf_counter() - began)
    screen.show()
print(f"replies took at most {worst * 1e3:.2f} ms of a frame", file=sys.stderr)

# odo (addressed): Deep, cold, and older than the king. | silver: 3
# maud (faced): 2 silver, and mind the rope. | silver: 1
# ada (addressed): No silver, no crossing. | silver: 1
