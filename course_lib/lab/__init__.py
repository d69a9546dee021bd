"""What a notebook needs: predict, measure, compare, record, check, tear down."""

from course_lib.lab.grading import check
from course_lib.lab.kinds import (
    COURSE_ENGINE,
    KINDS,
    REAL_GPU,
    REAL_ON_CPU,
    SIMULATED,
    LabError,
)
from course_lib.lab.ledger import record
from course_lib.lab.predictions import compare, compare_table, predict
from course_lib.lab.quiz import quiz
from course_lib.lab.results import show
from course_lib.lab.session import Session, finish, start, using

__all__ = [
    "COURSE_ENGINE",
    "KINDS",
    "REAL_GPU",
    "REAL_ON_CPU",
    "SIMULATED",
    "LabError",
    "Session",
    "check",
    "compare",
    "compare_table",
    "finish",
    "predict",
    "quiz",
    "record",
    "show",
    "start",
    "using",
]
