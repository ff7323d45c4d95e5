"""The real nbgrader on a course that `graft class init` has written: release, grading and feedback, for a right and two wrong students."""

import sqlite3
import subprocess

import nbformat
import pytest

from graft_testing import PREFIX, graft

NBGRADER = PREFIX.parent / "graft-nbgrader" / "bin"
ASSIGNMENT = "ps1"
NOTEBOOK = "lora.ipynb"

SOLUTIONS = {
    "attach": "%lora attach r=8 target_modules=q_proj,v_proj",
    "train": "%train steps=100",
    "count": "fn lora_parameters(d_in: usize, d_out: usize, r: usize) -> usize {\n    r * (d_in + d_out)\n}",
}
# Each student with their cells that differ, and the score of each test cell.
STUDENTS = {
    "right": ({}, {"attach-test": 3, "train-test": 2, "count-test": 2}),
    # Wrong in one hidden point of the first exercise, and in the hidden case of the third.
    "partly": (
        {
            "attach": "%lora attach r=8 target_modules=q_proj",
            "count": SOLUTIONS["count"].replace("r * (d_in + d_out)", "2 * r * d_in"),
        },
        {"attach-test": 2, "train-test": 2, "count-test": 0},
    ),
    # Has handed in the released notebook without an answer.
    "empty": (None, {"attach-test": 0, "train-test": 0, "count-test": 0}),
}


class Course:
    """A course in a folder, and nbgrader in an environment of its own."""

    def __init__(self, places):
        self.places = places
        self.folder = places.work / "peft-2026"
        self.report = graft("class", "init", self.folder, places=places).stdout

    def nbgrader(self, *words):
        """Runs nbgrader as a teacher does, in the folder of the course, and returns what it printed."""
        environment = self.places.environment(JUPYTER_PATH=str(PREFIX / "share" / "jupyter"))
        environment["PATH"] = f"{NBGRADER}:{environment['PATH']}"
        done = subprocess.run(["nbgrader", *words], cwd=self.folder, env=environment, text=True, capture_output=True, timeout=500)
        assert done.returncode == 0, f"nbgrader {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def released(self):
        return nbformat.read(self.folder / "release" / ASSIGNMENT / NOTEBOOK, as_version=4)

    def submit(self, student, answers):
        """Hands in the released notebook with these answers in place of its stubs."""
        notebook = self.released()
        for cell in notebook.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            if answers is not None and name in SOLUTIONS:
                cell.source = {**SOLUTIONS, **answers}[name]
        # A forged output: grading must not read it.
        next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "attach-test").outputs = [
            nbformat.v4.new_output("execute_result", {"text/plain": "3"}, execution_count=1)
        ]
        path = self.folder / "submitted" / student / ASSIGNMENT / NOTEBOOK
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)

    def scores(self):
        """The score of each test cell of each student, from the gradebook."""
        query = """
            select submitted_assignment.student_id, base_cell.name, grade.auto_score, grade_cells.max_score
            from grade
            join base_cell on base_cell.id = grade.cell_id
            join grade_cells on grade_cells.id = grade.cell_id
            join submitted_notebook on submitted_notebook.id = grade.notebook_id
            join submitted_assignment on submitted_assignment.id = submitted_notebook.assignment_id
        """
        with sqlite3.connect(self.folder / "gradebook.db") as gradebook:
            rows = gradebook.execute(query).fetchall()
        found = {}
        for student, cell, score, _ in rows:
            found.setdefault(student, {})[cell] = score
        return found


@pytest.fixture
def course(places):
    return Course(places)


def test_a_course_is_released_graded_and_answered_by_nbgrader(course):
    files = sorted(str(path.relative_to(course.folder)) for path in course.folder.rglob("*") if path.is_file())
    assert files == ["README.md", "nbgrader_config.py", f"source/{ASSIGNMENT}/{NOTEBOOK}"]
    # The commands that `graft class init` prints are the ones that are run here.
    for verb in ("generate_assignment", "autograde", "generate_feedback"):
        assert f"nbgrader {verb} {ASSIGNMENT}" in course.report, course.report

    course.nbgrader("generate_assignment", ASSIGNMENT)
    cells = {cell.metadata["nbgrader"]["grade_id"]: cell.source for cell in course.released().cells if "nbgrader" in cell.metadata}
    assert cells["attach"] == "// YOUR CODE HERE\ntodo!()"
    assert cells["count"].splitlines()[1:3] == ["    // YOUR CODE HERE", "    todo!()"], cells["count"]
    assert not [name for name, source in cells.items() if "HIDDEN" in source or "SOLUTION" in source or "2_560" in source or "q_proj" in source]

    for student, (answers, _) in STUDENTS.items():
        course.submit(student, answers)
    course.nbgrader("autograde", ASSIGNMENT)
    assert course.scores() == {student: scores for student, (_, scores) in STUDENTS.items()}

    course.nbgrader("generate_feedback", ASSIGNMENT)
    page = (course.folder / "feedback" / "partly" / ASSIGNMENT / "lora.html").read_text()
    for said in ("(Score: 4.0 / 7.0)", "target_modules is q_proj, must be q_proj,v_proj", "the layer need not be square"):
        assert said in page, f"{said!r} is not in the feedback"
    course.nbgrader("export")
    assert (course.folder / "grades.csv").read_text().count("\n") == 1 + len(STUDENTS)


def test_a_course_is_never_overwritten(places):
    folder = places.work / "course"
    graft("class", "init", folder, places=places)
    config = folder / "nbgrader_config.py"
    config.write_text("# mine\n")
    (folder / "README.md").unlink()
    done = graft("class", "init", folder, places=places, check=False)
    assert done.returncode != 0 and "exists; nothing was written" in done.stderr and "hint: " in done.stderr, done.stderr
    assert config.read_text() == "# mine\n" and not (folder / "README.md").exists()


def test_a_folder_that_cannot_be_created_is_named(places):
    (places.work / "file").write_text("mine")
    done = graft("class", "init", places.work / "file" / "course", places=places, check=False)
    assert done.returncode != 0 and "cannot write" in done.stderr and "file/course" in done.stderr, done.stderr
