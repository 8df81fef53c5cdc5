"""Coroutines as they stood after a turn, for the next turn in the same process. Nothing depends on what is kept: it saves time.

A frame stands for its coroutine; frames are known by their identity, which costs nothing to compare.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import TypeVar

from constrained.logic.course import Body, Course
from constrained.logic.steps import Step
from constrained.memory import Frame

MOST = 1024
T = TypeVar("T")
_Kept = OrderedDict[int, tuple[Frame, T]]
_COURSES: _Kept[Course] = OrderedDict()  # the frame is kept too, so that its id stays its own
_STEPS: _Kept[Step] = OrderedDict()


def keep(frame: Frame, course: Course) -> None:
    """A coroutine as it stands after a frame; nothing of one that is over."""
    if course.waits is not None:
        _put(_COURSES, frame, course)
        _put(_STEPS, frame, course.waits)


def course_at(body: Body, frame: Frame) -> Course:
    """The coroutine after a frame. It goes on once, so only the first who asks gets what was kept; for others it runs anew."""
    found = _COURSES.pop(id(frame), None)
    if found is not None and found[0] is frame and found[1].body is body:
        return found[1]
    course = Course.of(body, frame)
    if course.waits is not None:
        _put(_STEPS, frame, course.waits)
    return course


def step_at(body: Body, frame: Frame) -> Step:
    """The step at which the coroutine waits after a frame. Raises ProcedureError where it is over."""
    found = _STEPS.get(id(frame))
    if found is not None and found[0] is frame:
        return found[1]
    course = Course.of(body, frame)
    keep(frame, course)
    if course.waits is None:
        raise course.diverged("it is over")
    return course.waits


def _put(kept: _Kept[T], frame: Frame, value: T) -> None:
    kept[id(frame)] = frame, value
    while len(kept) > MOST:
        with suppress(KeyError):  # another thread was first
            kept.popitem(last=False)
