"""Quiz questions, one TOML file per notebook; `course_lib.lab.questions` reads them."""
