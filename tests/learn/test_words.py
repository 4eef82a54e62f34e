"""The tables of words: no language misses a key or a place, and none has more than is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import Formatter

import pytest

from greenscope.learn import LANGUAGES, LESSONS
from greenscope.learn.own import every_passage, every_question
from greenscope.learn.questions import Choice

each = pytest.mark.parametrize("language", LANGUAGES)


def places(words: str) -> list[str]:
    return sorted({name for _, name, _, _ in Formatter().parse(words) if name is not None})


def told() -> Iterator[tuple[str, set[str]]]:
    """Every key, with the places that it may have."""
    yield "unknown", set()
    yield "unknown.line", set()
    lessons = [(one.name, one.passages, one.questions, set(one.places)) for one in LESSONS]
    lessons.append(("own", every_passage, every_question, {"file", "steps"}))
    for name, passages, questions, given in lessons:
        yield f"{name}.title", given
        yield f"{name}.summary", given
        for passage in passages:
            yield f"{name}.{passage.key}", set(passage.places)
        for question in questions:
            for end in ("?", ".right", ".hint"):
                yield f"{name}.{question.key}{end}", {*question.places, "answer"}
            if isinstance(question, Choice):
                for option in question.options:
                    yield f"{name}.{question.key}.{option.key}", set(option.places)


@each
def test_a_language_has_the_words_of_all_that_is_told_and_no_others(language: str):
    keys = [key for key, _ in told()]
    assert len(set(keys)) == len(keys)
    assert sorted(LANGUAGES[language]) == sorted(keys)


@each
def test_a_place_is_one_that_is_filled_and_is_there_in_every_language(language: str):
    table = LANGUAGES[language]
    for key, given in told():
        assert set(places(table[key])) <= given, key
        assert places(table[key]) == places(LANGUAGES["en"][key]), key


@each
def test_what_a_passage_gives_is_used(language: str):
    for one in [passage for lesson in LESSONS for passage in lesson.passages]:
        lesson = next(each for each in LESSONS if one in each.passages)
        assert set(places(LANGUAGES[language][f"{lesson.name}.{one.key}"])) == set(one.places), one.key


@pytest.mark.parametrize(("language", "word"), [("en", "Right"), ("zh", "正确")])
def test_what_follows_a_right_answer_says_that_it_is_right_and_says_it_once(language: str, word: str):
    for key, words in LANGUAGES[language].items():
        if key.endswith(".right"):
            assert re.match(rf"{word}[:.：。]", words), key
            assert words.count(word) == 1, key


def test_a_passage_is_one_to_three_sentences():
    for lesson in LESSONS:
        for one in lesson.passages:
            for language, marks in (("en", r"[.?!](?:\s|$)"), ("zh", "[。？！]")):
                count = len(re.findall(marks, LANGUAGES[language][f"{lesson.name}.{one.key}"]))
                assert 1 <= count <= 4, (language, lesson.name, one.key)


def test_chinese_is_set_as_chinese_is():
    for key, words in LANGUAGES["zh"].items():
        bare = re.sub(r"\{\w+\}", "x", re.sub(r"\([a-z]+\)", "", words))
        assert not re.search(r"[\u4e00-\u9fff][,.:;?!()]|[,;?!][\u4e00-\u9fff]", bare), key
        assert not re.search(r"[\u4e00-\u9fff][A-Za-z0-9`]|[A-Za-z0-9`][\u4e00-\u9fff]", bare), key
        assert not re.search(r"[，。：；、？（）] | [，。：；、？（）]|  ", bare), key


def test_english_has_no_line_that_was_joined_without_a_space():
    for key, words in LANGUAGES["en"].items():
        assert not re.search(r"  |[a-z][.,:;?][A-Za-z]|^ | $", re.sub(r"\{\w+\}|`[^`]*`", "x", words)), key
