# Configuration of nbgrader for a course with the Graft kernel.
#
# Every option is explained by `nbgrader generate_config` and in the guide of Graft, chapter "A class of thirty".

import os

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "@COURSE@"
c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))

# What students see in place of a solution. `todo!()` fails with "not yet implemented" when it runs.
c.ClearSolutions.code_stub = {
    "rust": "// YOUR CODE HERE\ntodo!()",
    "python": "# YOUR CODE HERE\nraise NotImplementedError()",
}

# The delimiters are found anywhere in a line, so in a Rust comment: `// BEGIN SOLUTION`, `// BEGIN HIDDEN TESTS`.
c.ClearSolutions.begin_solution_delimeter = "BEGIN SOLUTION"
c.ClearSolutions.end_solution_delimeter = "END SOLUTION"
c.ClearHiddenTests.begin_test_delimeter = "BEGIN HIDDEN TESTS"
c.ClearHiddenTests.end_test_delimeter = "END HIDDEN TESTS"

# Seconds for one cell. The first Rust cell starts the compiler, and a cell may train a model.
c.Execute.timeout = 600

# The gradebook, an SQLite file in this folder.
c.CourseDirectory.db_url = "sqlite:///" + os.path.join(c.CourseDirectory.root, "gradebook.db")

# Runs that were recorded while a notebook was executed are not part of an assignment.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", ".graft"]
