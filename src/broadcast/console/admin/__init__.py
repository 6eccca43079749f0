"""Pages for who administers: the register, imports, enrolment, what was refused."""
