"""Graders of the exercises, one module per notebook; `course_lib.lab.grading` finds them."""
