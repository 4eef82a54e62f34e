"""Each lesson on a real run of its program: what it says is there, in order, and its questions are answered by it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from greenscope.learn import LANGUAGES, LESSONS, Lesson, Run, as_json
from tests.learn.recorded import answers

each = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


def test_there_are_ten_lessons_and_a_program_for_each_and_no_other():
    names = [lesson.name for lesson in LESSONS]
    assert len(set(names)) == len(names) == 10
    programs = Path(LESSONS[0].program).parent
    assert sorted(path.stem for path in programs.glob("*.py")) == sorted(names)


@each
def test_a_program_is_short_and_begins_with_a_question(lesson: Lesson):
    text = lesson.program.read_text()
    assert len(text.splitlines()) <= 40
    assert (ast.get_docstring(ast.parse(text)) or "").endswith("?")


@each
def test_every_passage_finds_its_step_and_steps_only_go_on(lesson: Lesson, runs: dict[str, Run]):
    steps = [one["step"] for one in as_json(lesson, runs[lesson.name], "en")["passages"]]
    assert None not in steps
    assert steps == sorted(steps)
    assert len(steps) >= 6
    assert lesson.shows in {one.key for one in lesson.passages}


@each
def test_there_are_three_questions_one_of_each_kind_which_the_run_answers(lesson: Lesson, runs: dict[str, Run]):
    run = runs[lesson.name]
    questions = as_json(lesson, run, "en")["questions"]
    assert sorted(one["kind"] for one in questions) == ["choice", "number", "step"]
    for one in questions:
        assert 0 <= one["step"] < len(run)
        if one["kind"] == "choice":
            assert len(set(one["choices"])) == len(one["choices"]) >= 3
            assert one["answer"] in range(len(one["choices"]))
        else:
            assert one["choices"] == []
        if one["kind"] == "step":
            assert one["step"] == one["answer"]


@each
def test_the_languages_say_it_of_the_same_steps_with_nothing_left_open(lesson: Lesson, runs: dict[str, Run]):
    english, chinese = (as_json(lesson, runs[lesson.name], language) for language in LANGUAGES)
    for told in (english, chinese):
        texts = [told["title"], told["summary"], *(one["words"] for one in told["passages"])]
        texts += [
            text for one in told["questions"] for text in (one["words"], one["right"], one["hint"], *one["choices"])
        ]
        for text in texts:
            assert not re.search(r"[{}]|not recorded|没有记录", text), text
            assert text.count("`") % 2 == 0, text
    assert [one["step"] for one in english["passages"]] == [one["step"] for one in chinese["passages"]]
    wordless = ({k: v for k, v in one.items() if k in ("kind", "answer", "step")} for one in english["questions"])
    assert list(wordless) == [{k: one[k] for k in ("kind", "answer", "step")} for one in chinese["questions"]]


@each
def test_at_no_step_somebody_waits_for_one_that_has_ended(lesson: Lesson, runs: dict[str, Run]):
    ended: set[int | None] = set()
    for frame in runs[lesson.name].replay.frames(0, len(runs[lesson.name])):
        if frame.kind == "greenlet_exit":
            ended.add(frame.greenlet)
        assert not {one.on.greenlet for one in frame.parked} & ended, frame.step


def test_the_words_name_what_this_run_had(runs: dict[str, Run]):
    (recv,) = (lesson for lesson in LESSONS if lesson.name == "recv")
    passages = [one["words"] for one in as_json(recv, runs["recv"], "en")["passages"]]
    line = next(n for n, text in enumerate(recv.program.read_text().splitlines(), 1) if "here.recv" in text)
    assert f"At recv.py:{line} `reader` calls it" in passages[0]
    assert "sent 10 bytes" in passages[5]


def test_the_answers_are_those_of_the_programs_as_they_are(runs: dict[str, Run]):
    right = {lesson.name: answers(lesson, runs[lesson.name]) for lesson in LESSONS}
    assert right["sleep"]["blocked"] == right["recv"]["waits"] == right["timeout"]["raised"] == 1
    assert right["turns"]["count"] == 4
    assert right["turns"]["first"] == "ping #3"
    assert right["send"]["read"] == "Nothing"
    assert right["timeout"]["line"].endswith("where `client` waited")
    assert right["close"]["who"] == "closer #4"
    assert (right["hog"]["ticks"], right["hog"]["late"]) == (0, "More than 100 ms")
    assert (right["deadlock"]["count"], right["deadlock"]["holder"]) == (3, "anna #3")
    assert (right["fairness"]["woken"], right["fairness"]["next"]) == (3, "main")
    assert right["threadpool"]["who"] == "The hub, which heard from the thread"
