-- The incidents of one host are found by how its name begins: the whole of it may be longer than an index of PostgreSQL takes.
CREATE INDEX incidents_by_host ON incidents (substr(host, 1, 60), state, number) WHERE merged_into IS NULL;
